//! The first message: who is there, and where the client's mirror stands.

use super::{
    End, Sessions, reload,
    token::SignedIn,
    turn::{self, Read},
};
use crate::{
    clock::iso,
    engine::{self, moment::Moment},
    ledger::entry::{Actor, Reason},
    replication::{
        outbox::{Frame, Kind, Outbox},
        snapshot,
    },
    roster::{
        LoadError,
        cell::{Cell, Inner},
        record::{Half, Note},
    },
    telemetry::metrics::labels::{Hurried, Joining, Resync},
};
use holdall_protocol::{
    close::Close,
    frame::Subprotocol,
    ids::{PlayerId, Revision, SessionId},
    message::{ClientMessage, Hello, Resume, ServerMessage, Settings, Welcome},
};
use std::{net::IpAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::{Instant, timeout},
};
use tokio_tungstenite::WebSocketStream;

/// A session that has begun.
pub struct Join {
    /// The player's cell.
    pub cell: Arc<Cell>,
    /// The session.
    pub session: SessionId,
    /// Woken when there is something to send, or the session must end.
    pub wake: Arc<Notify>,
    /// When the token expires.
    pub expires: Option<Instant>,
}

impl Sessions {
    /// Hears the hello and joins the player.
    pub(super) async fn greet<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<IO>,
        subprotocol: Subprotocol,
        peer: IpAddr,
    ) -> Result<Join, End> {
        let end = |why: Close, reason: &str| Some((why, reason.to_owned()));
        let mut stopping = self.stopping.clone();
        let hello_deadline = self.options.borrow().hello_deadline;
        let hello = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return Err(end(Close::Restart, "the server stops")),
            read = timeout(hello_deadline, first(socket, subprotocol)) => match read {
                Ok(hello) => hello?,
                Err(_) => return Err(end(Close::HelloTimeout, "say hello first")),
            },
        };
        let now = self.roster.clock.now_ms();
        let SignedIn { player, expires_at_ms } = self.verifier.verify(&hello.token, now).map_err(|refused| {
            tracing::info!(%peer, %refused, "sign-in refused");
            end(Close::Unauthorized, &refused.to_string())
        })?;
        let expires = expires_at_ms.map(|at| {
            let left = std::time::Duration::from_millis(at.saturating_sub(now));
            Instant::now().checked_add(left).unwrap_or_else(Instant::now)
        });
        let mut join = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return Err(end(Close::Restart, "the server stops")),
            join = self.join(&player, subprotocol, hello.resume) => join?,
        };
        join.expires = expires;
        let client: String = hello.client.unwrap_or_default().chars().take(64).collect();
        tracing::debug!(%player, session = %join.session, %peer, %client, "joined");
        Ok(join)
    }

    /// Brings the player into the game and makes this its one session. Whoever held it before is told to end.
    ///
    /// # Errors
    /// Why the connection must be closed instead.
    pub async fn join(&self, player: &PlayerId, subprotocol: Subprotocol, resume: Option<Resume>) -> Result<Join, End> {
        loop {
            let cell = self.roster.load(player).await.map_err(|error| Some((close_of(&error), error.to_string())))?;
            if cell.allowance.action().is_err() {
                self.roster.metrics.rate_limited.inc(&Hurried::Login);
                return Err(Some((Close::RateLimited, "too many logins; wait a second".to_owned())));
            }
            let session = SessionId::new(self.roster.dice.clone().uuid(self.roster.clock.now_ms()));
            let wake = Arc::new(Notify::new());
            let mut inner = cell.lock();
            // Between the load and the lock the player may have left again.
            if inner.seat().is_none() {
                continue;
            }
            if !self.roster.lease.is_held() {
                let error = LoadError::StoreAway;
                return Err(Some((close_of(&error), error.to_string())));
            }
            let until = inner.seat().and_then(|seat| seat.barred_until());
            if let Some(until) = until.filter(|until| *until > self.roster.clock.now_ms()) {
                return Err(Some((Close::Kicked, format!("an operator allows no sign-in before {}", iso(until)))));
            }
            self.begin(&cell.id, &mut inner, subprotocol)?;
            let mut outbox = Outbox::new(subprotocol, self.roster.options().outbox_bytes_max);
            self.welcome((&cell.id, &mut inner), session, resume.as_ref(), &mut outbox);
            // Nothing that could fail comes after it: a link whose session never began would be parted by nobody.
            inner.join(session, outbox, wake.clone());
            if *self.stopping.borrow() {
                inner.close(Close::Restart);
            }
            drop(inner);
            return Ok(Join { cell, session, wake, expires: None });
        }
    }

    /// What the first join of a load does: birth, and the record of what the load set right.
    fn begin(&self, player: &PlayerId, inner: &mut Inner, subprotocol: Subprotocol) -> Result<(), End> {
        let seat = inner.seat().expect("just found in the game under this lock");
        seat.feed.speak(subprotocol);
        let record = if seat.revision == Revision::ZERO {
            let rules = self.roster.rules();
            let mut dice = self.roster.dice.clone();
            let mut moment = Moment::new(self.roster.clock.now_ms(), &mut dice);
            match engine::born(&rules, &mut moment) {
                Ok((newborn, changes)) => {
                    seat.player = newborn;
                    Some((changes, Reason::Born))
                }
                Err(refusal) => {
                    tracing::error!(%player, %refusal, "the starting kit cannot be given; mend [new_player]");
                    inner.close(Close::PlayerRefused);
                    return Err(Some((Close::PlayerRefused, "the starting kit cannot be given".to_owned())));
                }
            }
        } else {
            seat.repair(self.roster.clock.now_ms()).map(|changes| (changes, Reason::Repair))
        };
        if let Some((changes, reason)) = record {
            let note = Note { actor: Actor::Server, reason, asked: None };
            self.roster.record_quietly(Half { player, inner, changes: &changes, note });
        }
        Ok(())
    }

    /// Counts a join: whether a client that had something had it of this load, and whether it is sent only what it missed.
    fn count_join(&self, of_this_load: Option<bool>, resumes: bool) {
        let metrics = &self.roster.metrics;
        metrics.joins.inc(if resumes { &Joining::Resume } else { &Joining::Snapshot });
        match of_this_load {
            Some(false) => metrics.resyncs.inc(&Resync::Reloaded),
            Some(true) if !resumes => metrics.resyncs.inc(&Resync::Forgotten),
            Some(true) | None => {}
        }
    }

    /// Queues what a session begins with.
    fn welcome(
        &self,
        (player, inner): (&PlayerId, &mut Inner),
        session: SessionId,
        resume: Option<&Resume>,
        outbox: &mut Outbox,
    ) {
        let seat = inner.seat().expect("just found in the game under this lock");
        let gate = self.roster.gate(seat);
        let missed = resume
            .filter(|resume| resume.incarnation == seat.incarnation)
            .and_then(|resume| seat.feed.since(Revision::new(resume.revision), seat.revision));
        self.count_join(resume.map(|resume| resume.incarnation == seat.incarnation), missed.is_some());
        let rules = self.roster.rules();
        let welcome = ServerMessage::Welcome(Box::new(Welcome {
            player: player.clone(),
            session,
            incarnation: seat.incarnation,
            revision: seat.revision,
            seq: seat.seq,
            resumed: missed.is_some(),
            limits: self.options.borrow().told(&rules),
            catalog: reload::told(&rules.catalog),
            durability: (self.in_force)(),
            now: self.roster.clock.now_ms(),
            trades: seat.trades().to_vec(),
            holds: seat.holds().to_vec(),
            settings: Some(Settings { gifts: seat.takes_gifts(), invites: seat.takes_invites() }),
        }));
        let snapshot = missed.is_none().then(|| snapshot::of(&seat.player, seat.revision, seat.checksum, &rules));
        outbox.push(gate, Kind::Other, Frame::Message(Box::new(welcome)));
        for (revision, frame) in missed.into_iter().flatten() {
            outbox.push(gate.min(revision), Kind::Other, Frame::Encoded(frame));
        }
        if let Some(snapshot) = snapshot {
            outbox.push(gate, Kind::Other, Frame::Message(Box::new(ServerMessage::Snapshot(snapshot))));
        }
    }
}

/// The hello, and nothing before it.
async fn first<IO: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<IO>,
    subprotocol: Subprotocol,
) -> Result<Hello, End> {
    loop {
        match turn::read(socket, subprotocol).await {
            Read::Message(ClientMessage::Hello(hello)) => return Ok(hello),
            Read::Message(ClientMessage::Request(_)) => {
                return Err(Some((Close::ProtocolError, "a request before hello".to_owned())));
            }
            Read::Control => {}
            Read::Bad(why, reason) => return Err(Some((why, reason))),
            Read::Gone => return Err(None),
        }
    }
}

const fn close_of(error: &LoadError) -> Close {
    match error {
        LoadError::Elsewhere => Close::PlayerBusy,
        LoadError::StoreAway => Close::StoreUnavailable,
        LoadError::Unreadable(_) => Close::PlayerRefused,
    }
}
