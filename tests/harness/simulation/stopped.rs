//! A node that is stopped and goes on later, as by SIGSTOP and SIGCONT: none of its tasks runs meanwhile, and what the
//! rest of the world has sent it waits.

use parking_lot::Mutex;
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
};

/// Stops tasks and lets them go on.
#[derive(Clone, Default)]
pub(super) struct Switch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    stopped: bool,
    waiting: Vec<Waker>,
}

impl Switch {
    pub(super) fn stop(&self) {
        self.0.lock().stopped = true;
    }

    pub(super) fn go_on(&self) {
        let waiting = {
            let mut state = self.0.lock();
            state.stopped = false;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.lock().stopped
    }

    /// Runs a future as one of the node's tasks.
    pub(super) async fn run<F: Future>(self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            {
                let mut state = self.0.lock();
                if state.stopped {
                    state.waiting.push(context.waker().clone());
                    return Poll::Pending;
                }
            }
            future.as_mut().poll(context)
        })
        .await
    }
}
