//! The loop: what is there is read, what may leave is written, until the session ends.

use super::{
    Answer, End, Heard, Join, Known, Options, Sessions,
    frames::{self, Rest},
    sent::Sent,
};
use crate::{
    replication::outbox::Frame,
    roster::cell::{Cell, Taken},
    telemetry::metrics::labels::Hurried,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use holdall_protocol::{action::Request, close::Close, frame::Subprotocol, ids::SessionId, message::ClientMessage};
use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::{Notify, watch},
    time::{Instant, Sleep, error::Elapsed, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, error::CapacityError},
};

/// One session at its socket.
pub(super) struct Turn<'a, IO> {
    sessions: &'a Sessions,
    /// As they stand; looked at again when a reload has woken the session.
    options: Arc<Options>,
    newest_options: watch::Receiver<Arc<Options>>,
    cell: Arc<Cell>,
    session: SessionId,
    wake: Arc<Notify>,
    expires: Option<Instant>,
    socket: &'a mut WebSocketStream<IO>,
    subprotocol: Subprotocol,
    /// When the requests were read whose replies have not been written, oldest first.
    in_flight: VecDeque<Instant>,
    /// The library may have answered a ping: a client that does not read that either is slow.
    owes_answer: bool,
    /// Nothing was heard for so long that the client is asked whether it is there.
    owes_ping: bool,
    /// Excess requests in a row.
    excess: u32,
    /// When something was last heard.
    heard: Instant,
    /// When the session was told to end.
    closing_since: Option<Instant>,
    /// Looks at the times above; never reset by a frame.
    tick: Pin<Box<Sleep>>,
    ready: Vec<Frame>,
    /// The request that waits for the store; no further one is started before it is answered.
    asking: Option<Box<(Request, Answer)>>,
}

/// Everything that can wake a session.
enum Event {
    Woken,
    Tick,
    Known(Request, Known),
    Read(Read),
}

/// What came from the socket.
pub(super) enum Read {
    Message(ClientMessage),
    /// Ping or pong: the client is there.
    Control,
    /// The connection must end, with this reason.
    Bad(Close, String),
    /// The client has gone.
    Gone,
}

impl<'a, IO: AsyncRead + AsyncWrite + Unpin> Turn<'a, IO> {
    pub(super) fn new(
        sessions: &'a Sessions,
        join: Join,
        socket: &'a mut WebSocketStream<IO>,
        subprotocol: Subprotocol,
    ) -> Self {
        sessions.roster.metrics.sessions.inc();
        let now = Instant::now();
        let mut newest_options = sessions.options.subscribe();
        let options = newest_options.borrow_and_update().clone();
        let mut turn = Self {
            sessions,
            options,
            newest_options,
            cell: join.cell,
            session: join.session,
            wake: join.wake,
            expires: join.expires,
            socket,
            subprotocol,
            in_flight: VecDeque::new(),
            owes_answer: false,
            owes_ping: false,
            excess: 0,
            heard: now,
            closing_since: None,
            tick: Box::pin(sleep_until(now)),
            ready: Vec::new(),
            asking: None,
        };
        let first = turn.next_tick();
        turn.tick.as_mut().reset(first);
        turn
    }

    /// Plays until the session ends, and says what the client is to be told.
    pub(super) async fn play(&mut self) -> End {
        match self.until_the_end().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn until_the_end(&mut self) -> Result<std::convert::Infallible, End> {
        // Nothing is as large as the greeting, which mostly leaves now; many players then stand still.
        self.flush().await?;
        self.rest();
        loop {
            self.look_at_options();
            let taken = self.flush().await?;
            if taken.collapsed {
                self.sessions.queue_snapshot(&self.cell, self.session);
                continue;
            }
            if let Some(why) = taken.closing {
                let since = *self.closing_since.get_or_insert_with(Instant::now);
                if !taken.waiting || since.elapsed() >= self.options.slow_reader_grace {
                    return Err(Some((why, why.meaning().to_owned())));
                }
            }
            match self.next_event().await {
                Event::Woken => {}
                Event::Tick => self.look_at_the_time()?,
                Event::Known(request, known) => {
                    let heard = self.sessions.request_again(&self.cell, self.session, &request, &known);
                    self.note(request, heard)?;
                    self.hear_the_rest()?;
                }
                Event::Read(read) => {
                    self.hear(read)?;
                    self.hear_the_rest()?;
                }
            }
        }
    }

    fn look_at_options(&mut self) {
        if self.newest_options.has_changed().unwrap_or(false) {
            self.options = self.newest_options.borrow_and_update().clone();
            let next = self.next_tick();
            self.tick.as_mut().reset(next);
        }
    }

    async fn next_event(&mut self) -> Event {
        let listening = self.listening();
        tokio::select! {
            biased;
            () = self.wake.notified() => Event::Woken,
            (request, known) = answered(&mut self.asking) => Event::Known(request, known),
            read = read(self.socket, self.subprotocol), if listening => Event::Read(read),
            () = self.tick.as_mut() => Event::Tick,
        }
    }

    fn listening(&self) -> bool {
        let in_flight_max = usize::try_from(self.options.in_flight_max).unwrap_or(usize::MAX);
        self.in_flight.len() < in_flight_max && self.closing_since.is_none() && self.asking.is_none()
    }

    /// Takes whatever else has already arrived, so that one wake-up and one flush serve all of it.
    fn hear_the_rest(&mut self) -> Result<(), End> {
        while self.listening() {
            let Some(read) = read(self.socket, self.subprotocol).now_or_never() else { break };
            self.hear(read)?;
        }
        Ok(())
    }

    fn hear(&mut self, read: Read) -> Result<(), End> {
        self.heard = Instant::now();
        match read {
            Read::Message(ClientMessage::Request(request)) => {
                let heard = self.sessions.request(&self.cell, self.session, &request);
                self.note(request, heard)
            }
            Read::Message(ClientMessage::Hello(_)) => {
                Err(Some((Close::ProtocolError, "hello is said once".to_owned())))
            }
            Read::Control => {
                self.owes_answer = true;
                let excess = self.cell.allowance.action().is_err();
                self.sessions.roster.metrics.rate_limited.add(&Hurried::Control, excess.into());
                self.count(excess)
            }
            Read::Bad(why, reason) => Err(Some((why, reason))),
            Read::Gone => Err(None),
        }
    }

    /// Takes note of what became of a request.
    fn note(&mut self, request: Request, heard: Heard) -> Result<(), End> {
        let excess = heard == Heard::Excess;
        match heard {
            // Nothing has been heard since, also where the store was asked.
            Heard::Replied(_) | Heard::Excess => self.in_flight.push_back(self.heard),
            Heard::Ignored => {}
            Heard::Asks(inquiry) => self.asking = Some(Box::new((request, self.sessions.ask(&self.cell, inquiry)))),
        }
        self.count(excess)
    }

    fn count(&mut self, excess: bool) -> Result<(), End> {
        if !excess {
            self.excess = 0;
            return Ok(());
        }
        if self.excess == 0 {
            tracing::debug!(player = %self.cell.id, "more requests than allowed");
        }
        self.excess = self.excess.saturating_add(1);
        if self.excess < self.options.excess_max {
            return Ok(());
        }
        tracing::info!(player = %self.cell.id, excess = self.excess, "suspicious: excess requests in a row; closed");
        Err(Some((Close::RateLimited, "too many requests for too long".to_owned())))
    }

    /// Writes all that may leave, with one flush.
    async fn flush(&mut self) -> Result<Taken, End> {
        let taken = self.sessions.roster.take_ready(&self.cell, self.session, &mut self.ready);
        if self.ready.is_empty() && !std::mem::take(&mut self.owes_answer) && !self.owes_ping {
            return Ok(taken);
        }
        let written = within(self.options.slow_reader_grace, pin!(self.write())).await;
        let slow = |_| Some((Close::Slow, "what was sent was not read for too long".to_owned()));
        let sent = written.map_err(slow)?.map_err(|_| None)?;
        sent.count(taken.ready, &self.sessions.roster.metrics);
        self.count_replies(taken.ready.replies);
        Ok(taken)
    }

    async fn write(&mut self) -> tungstenite::Result<Sent> {
        let mut sent = Sent::default();
        // Taken from its end, the first one first: an iterator would weigh on the task.
        self.ready.reverse();
        while let Some(first) = self.ready.pop() {
            let mut rest = Rest::of(encoded(first, self.subprotocol, &mut sent));
            while let Some(mut frame) = rest.next_frame(self.subprotocol) {
                self.socket.get_mut().write_all_buf(&mut frame).await?;
            }
        }
        if std::mem::take(&mut self.owes_ping) {
            self.socket.get_mut().write_all_buf(&mut frames::ping()).await?;
        }
        self.socket.flush().await?;
        Ok(sent)
    }

    /// Takes note of replies that have been written.
    fn count_replies(&mut self, replies: usize) {
        if replies == 0 {
            return;
        }
        let now = Instant::now();
        for read in self.in_flight.drain(..replies.min(self.in_flight.len())) {
            self.sessions.roster.metrics.action_seconds.took(now.duration_since(read));
        }
    }

    fn look_at_the_time(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let silent = now.duration_since(self.heard);
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Some((Close::TokenExpired, "sign in again".to_owned())));
        }
        // A client that is not listened to, because its replies are still on their way, is not silent.
        if silent >= self.options.idle_timeout && self.listening() {
            return Err(Some((Close::Idle, "nothing was heard for too long".to_owned())));
        }
        self.owes_ping = silent >= self.options.ping_interval;
        if silent >= self.step() {
            self.rest();
        }
        let next = self.next_tick();
        self.tick.as_mut().reset(next);
        Ok(())
    }

    /// Gives back what queues have grown to, where nothing is in them.
    fn rest(&mut self) {
        self.ready.shrink_to_fit();
        self.in_flight.shrink_to_fit();
        self.cell.lock().rest(self.session);
    }

    /// From one look at the time to the next.
    fn step(&self) -> Duration {
        self.options.ping_interval.min(self.options.idle_timeout).min(self.options.slow_reader_grace)
    }

    fn next_tick(&self) -> Instant {
        let next = Instant::now().checked_add(self.step()).unwrap_or_else(Instant::now);
        self.expires.map_or(next, |expires| next.min(expires))
    }
}

/// Leaves the cell when the session is over, also by a panic: a link that stays would keep its player loaded for ever.
impl<IO> Drop for Turn<'_, IO> {
    fn drop(&mut self) {
        self.sessions.roster.metrics.sessions.dec();
        self.sessions.roster.part(&self.cell, self.session);
    }
}

/// The same as a timeout, without a timer where nothing has to be waited for: mostly the socket takes everything at once.
async fn within<W: Future>(limit: Duration, mut work: Pin<&mut W>) -> Result<W::Output, Elapsed> {
    let Some(done) = work.as_mut().now_or_never() else {
        // On the heap, so that a timer weighs nothing in the task of a connection that needs none.
        return Box::pin(timeout(limit, work)).await;
    };
    Ok(done)
}

/// The request that waits for the store, once it is answered; never where none waits. Cancelling it loses nothing.
async fn answered(asking: &mut Option<Box<(Request, Answer)>>) -> (Request, Known) {
    let Some(asked) = asking else { return std::future::pending().await };
    let known = (&mut asked.1).await;
    let (request, _) = *asking.take().expect("just answered");
    (request, known)
}

fn encoded(frame: Frame, subprotocol: Subprotocol, sent: &mut Sent) -> Bytes {
    match frame {
        Frame::Encoded(bytes) => {
            sent.frame(bytes.len());
            bytes
        }
        Frame::Message(message) => {
            let mut bytes = Vec::with_capacity(512);
            subprotocol.encode(&*message, &mut bytes);
            sent.frame(bytes.len());
            sent.message(&message, bytes.len());
            bytes.into()
        }
    }
}

/// Reads one message, strictly of the agreed kind.
pub(super) async fn read<IO: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<IO>,
    subprotocol: Subprotocol,
) -> Read {
    let bad = |reason: String| Read::Bad(Close::ProtocolError, reason);
    let frame = match socket.next().await {
        Some(Ok(frame)) => frame,
        Some(Err(tungstenite::Error::Capacity(CapacityError::MessageTooLong { max_size, .. }))) => {
            return Read::Bad(Close::FrameTooLarge, format!("a frame may hold {max_size} bytes"));
        }
        Some(Err(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake))) => {
            return Read::Gone;
        }
        Some(Err(error @ (tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)))) => {
            return bad(error.to_string());
        }
        Some(Err(_)) | None => return Read::Gone,
    };
    let bytes = match (&frame, subprotocol) {
        (Message::Binary(bytes), Subprotocol::Msgpack) => bytes,
        (Message::Text(text), Subprotocol::Json) => text.as_ref(),
        (Message::Binary(_), Subprotocol::Json) => return bad("holdall.v1.json takes text frames".to_owned()),
        (Message::Text(_), Subprotocol::Msgpack) => return bad("holdall.v1.msgpack takes binary frames".to_owned()),
        (Message::Ping(_) | Message::Pong(_), _) => return Read::Control,
        // It is answered once nothing else is written any more (`leave::answer`).
        (Message::Close(_) | Message::Frame(_), _) => return Read::Gone,
    };
    match subprotocol.decode_client(bytes) {
        Ok(message) => Read::Message(message),
        Err(malformed) => bad(malformed.to_string()),
    }
}
