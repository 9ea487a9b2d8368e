//! Bots that are no players: each does what a server must refuse or close, sees how that ends, and does something else.
//!
//! Spawned by `scenario` while the others play. What a server takes that it must not, and what it never ends, is a violation.

mod kinds;

use crate::{
    fault::Fault,
    scenario::{Phase, World},
    socket::{Event, Room, Socket},
};
use holdall_protocol::{
    close::Close,
    code::Code,
    ids::{PlayerId, Revision},
    message::{ServerMessage, Welcome},
};
use kinds::{ABUSES, Abuse, Begins, Ends, Scene, stats};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng, seq::IndexedRandom as _};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

/// For how long a flood lasts that nobody stops.
const FLOOD: Duration = Duration::from_secs(3);

/// Requests that a flood sends at once, and from one such wave to the next.
const WAVE: usize = 64;
const WAVE_PAUSE: Duration = Duration::from_millis(5);

/// Actions a second of one player above which a flood proves nothing.
const FLOODABLE: u32 = 2_000;

/// One who is no player.
pub(crate) struct Abuser {
    player: PlayerId,
    world: Arc<World>,
    phase: watch::Receiver<Phase>,
    rng: SmallRng,
}

/// How an abuse ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ended {
    /// A request was refused.
    Refused(Code),
    /// A request was carried out, or answered, at this revision.
    Taken(Revision),
    /// The server closed the connection with a name.
    Closed(Close),
    /// It ended without a name, or could not be made.
    Cut,
    /// Of so many requests so many were served, and so many could have been.
    Served { sent: u64, served: u64, allowed: u64 },
    /// Nothing happened for too long.
    Hung,
}

impl Abuser {
    /// Number `number`, from 0.
    pub(crate) fn new(number: usize, world: Arc<World>, phase: watch::Receiver<Phase>) -> Self {
        let player = PlayerId::new(&format!("abuser-{}", number + 1)).expect("letters, a hyphen and digits");
        let stream = u64::try_from(number).unwrap_or_default();
        let rng = SmallRng::seed_from_u64(world.options.seed.wrapping_mul(31).wrapping_add(stream));
        Self { player, world, phase, rng }
    }

    /// Abuses until the play is over.
    pub(crate) async fn run(mut self) {
        let mut over = self.phase.clone();
        let over = async move {
            // Whoever leads the run is there as long as anybody plays.
            let _ = over.wait_for(|phase| !matches!(phase, Phase::Join | Phase::Play)).await;
        };
        tokio::select! {
            () = over => {}
            () = self.abuse() => {}
        }
    }

    async fn abuse(&mut self) {
        let _ = self.phase.wait_for(|phase| *phase == Phase::Play).await;
        loop {
            sleep(Duration::from_millis(self.rng.random_range(20..500))).await;
            let Some(abuse) = ABUSES.choose(&mut self.rng) else { return };
            if let Some(ended) = self.attempt(abuse).await {
                self.judge(abuse, &ended);
            }
        }
    }

    /// One connection; `None` where the abuse did not come about.
    async fn attempt(&self, abuse: &Abuse) -> Option<Ended> {
        let options = &self.world.options;
        let mut socket = Socket::connect(&options.url, options.subprotocol, Room::Usual).await.ok()?;
        let until = Instant::now() + options.patience;
        let welcome = match abuse.begins {
            Begins::Stranger => None,
            Begins::Welcomed => Some(self.enter(&mut socket, until).await?),
        };
        let scene = Scene { world: &self.world, player: &self.player, welcome: welcome.as_deref() };
        if abuse.ends == Ends::Limited {
            return flood(&mut socket, &scene).await;
        }
        let frames = (abuse.frames)(&scene);
        let asked = frames.len();
        for frame in frames {
            socket.throw(frame).await.ok()?;
        }
        // Whether it could be sent is told by how it ends.
        let _ = socket.flush().await;
        // What must be refused is refused as the last one.
        let last = if matches!(abuse.ends, Ends::Refused(_) | Ends::Once) { asked } else { usize::MAX };
        Some(see(&mut socket, last, abuse.ends, until).await)
    }

    /// Signs in; `None` where that has to wait.
    async fn enter(&self, socket: &mut Socket, until: Instant) -> Option<Box<Welcome>> {
        let scene = Scene { world: &self.world, player: &self.player, welcome: None };
        socket.throw(scene.hello(scene.token())).await.ok()?;
        socket.flush().await.ok()?;
        loop {
            match timeout_at(until, socket.next()).await.ok()? {
                Event::Message(message) => {
                    if let ServerMessage::Welcome(welcome) = *message {
                        return Some(welcome);
                    }
                }
                Event::Malformed(_) | Event::Closed(_) | Event::Cut => return None,
            }
        }
    }

    fn judge(&self, abuse: &Abuse, ended: &Ended) {
        self.world.metrics.abused(abuse.name, &ended.name());
        if !ended.is_right(abuse.ends) {
            let (wanted, got) = (format!("{:?}", abuse.ends), format!("{ended:?}"));
            self.world.metrics.violation(Some(&self.player), &Fault::Tolerated { what: abuse.name, wanted, got });
        }
    }
}

/// Waits for the end of an abuse: the reply to its last request, or the connection's end.
async fn see(socket: &mut Socket, last: usize, ends: Ends, until: Instant) -> Ended {
    let (mut replies, mut first) = (0_usize, None);
    loop {
        let Ok(event) = timeout_at(until, socket.next()).await else { return Ended::Hung };
        let reply = match event {
            Event::Message(message) => reply(&message),
            Event::Malformed(_) | Event::Cut => return Ended::Cut,
            Event::Closed(close) => return Ended::Closed(close),
        };
        let Some(reply) = reply else { continue };
        replies += 1;
        if replies < last && last != usize::MAX {
            first = Some(reply);
        } else if ends == Ends::Once && first.as_ref() == Some(&reply) {
            return Ended::Refused(Code::Duplicate);
        } else {
            return reply;
        }
    }
}

fn reply(message: &ServerMessage) -> Option<Ended> {
    match message {
        ServerMessage::Refused(refused) => Some(Ended::Refused(refused.code)),
        ServerMessage::Applied(applied) => Some(Ended::Taken(applied.revision)),
        ServerMessage::Answer(answer) => Some(Ended::Taken(answer.revision)),
        ServerMessage::Welcome(_) | ServerMessage::Snapshot(_) | ServerMessage::Delta(_) => None,
        ServerMessage::Trade(_) | ServerMessage::Hold(_) | ServerMessage::Reloaded(_) => None,
    }
}

/// Asks far more often than allowed; `None` where that would be hardly possible.
async fn flood(socket: &mut Socket, scene: &Scene<'_>) -> Option<Ended> {
    let limits = &scene.welcome?.limits;
    if limits.actions_per_second > FLOODABLE {
        return None;
    }
    let begin = Instant::now();
    let (mut sent, mut served) = (0_u64, 0_u64);
    while begin.elapsed() < FLOOD {
        for _ in 0..WAVE {
            sent += 1;
            socket.throw(scene.ask(sent, stats())).await.ok()?;
        }
        // A server may stop reading; then there is something to be read.
        if timeout_at(Instant::now() + WAVE_PAUSE, socket.flush()).await.is_ok_and(|sent| sent.is_err()) {
            return Some(Ended::Cut);
        }
        while let Some(event) = socket.ready() {
            match event {
                Event::Message(message) => served += u64::from(matches!(reply(&message), Some(Ended::Taken(_)))),
                Event::Closed(close) => return Some(Ended::Closed(close)),
                Event::Malformed(_) | Event::Cut => return Some(Ended::Cut),
            }
        }
        sleep(WAVE_PAUSE).await;
    }
    let seconds = begin.elapsed().as_secs() + 1;
    let allowed = u64::from(limits.actions_burst) + u64::from(limits.actions_per_second) * seconds;
    Some(Ended::Served { sent, served, allowed })
}

impl Ended {
    fn name(&self) -> String {
        match self {
            Self::Refused(code) => code.as_str().to_owned(),
            Self::Taken(_) => "taken".to_owned(),
            Self::Closed(close) => format!("closed: {close}"),
            Self::Cut => "cut".to_owned(),
            Self::Served { .. } => "limited".to_owned(),
            Self::Hung => "no end".to_owned(),
        }
    }

    /// Whether that is how it must end, or something happened that has nothing to do with it.
    fn is_right(&self, ends: Ends) -> bool {
        match (self, ends) {
            (Self::Refused(code), Ends::Refused(codes)) => codes.contains(code) || *code == Code::RateLimited,
            (Self::Refused(code), Ends::Once) => matches!(code, Code::Duplicate | Code::RateLimited),
            (Self::Closed(close), Ends::Closed(wanted)) => *close == wanted || close.reconnect(),
            (Self::Closed(close), Ends::Refused(_) | Ends::Once | Ends::Limited) => close.reconnect(),
            (Self::Served { served, allowed, .. }, Ends::Limited) => served <= allowed,
            // Which end of a connection was the first one is not to be told.
            (Self::Cut, _) => true,
            (Self::Refused(code), Ends::Closed(_)) => *code == Code::RateLimited,
            (Self::Refused(_), Ends::Limited) | (Self::Served { .. }, _) | (Self::Taken(_) | Self::Hung, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_what_never_ends_is_wrong_and_so_is_another_end() {
        let refused = Ends::Refused(&[Code::UnknownAction]);
        let closed = Ends::Closed(Close::FrameTooLarge);
        let taken = Ended::Taken(Revision::new(4));
        for ends in [refused, closed, Ends::Once, Ends::Limited] {
            assert!(!taken.is_right(ends) && !Ended::Hung.is_right(ends), "{ends:?}");
            assert!(Ended::Closed(Close::Restart).is_right(ends) && Ended::Cut.is_right(ends), "{ends:?}");
            assert!(!Ended::Closed(Close::Kicked).is_right(ends), "{ends:?}");
        }
        for (ended, ends, right) in [
            (Ended::Refused(Code::UnknownAction), refused, true),
            (Ended::Refused(Code::RateLimited), refused, true),
            (Ended::Refused(Code::NotFound), refused, false),
            (Ended::Refused(Code::UnknownAction), closed, false),
            (Ended::Closed(Close::FrameTooLarge), closed, true),
            (Ended::Closed(Close::ProtocolError), closed, false),
            (Ended::Closed(Close::ProtocolError), refused, false),
            (Ended::Refused(Code::Duplicate), Ends::Once, true),
            (Ended::Refused(Code::NotFound), Ends::Once, false),
            (Ended::Served { sent: 900, served: 40, allowed: 40 }, Ends::Limited, true),
            (Ended::Served { sent: 900, served: 41, allowed: 40 }, Ends::Limited, false),
        ] {
            assert_eq!(ended.is_right(ends), right, "{ended:?} for {ends:?}");
        }
    }
}
