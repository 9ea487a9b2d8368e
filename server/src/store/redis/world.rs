//! Which world a realm holds: an empty Redis in place of a known one is a fault of the set-up, and never a new beginning.

use super::{
    OpenError, Options,
    keys::Keys,
    link::{Failure, Link, Live},
    reply,
};
use redis::{Value, cmd};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The field of the world's hash that names the format of what the realm holds, and the one that this build writes.
const FORMAT: (&str, &str) = ("format", "1");

/// How long a start waits for a Redis that is still loading.
const LOADING_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The id of the realm's world; begins one where there is none and none is missed.
pub(super) async fn enter(link: &Link, keys: &Keys, options: &Options) -> Result<String, OpenError> {
    let failed = |failure: Failure| OpenError(format!("Redis cannot be used: {failure}"));
    let live = first(link).await.map_err(failed)?;
    let world = keys.world();
    let read = |field: &'static str| {
        let mut command = cmd("HGET");
        command.arg(&world).arg(field);
        command
    };
    let known = options.known_world.as_deref().filter(|_| !options.new_world);
    let realm = &options.realm;
    match link.call(&live, &read("id")).await.map_err(failed)? {
        Value::Nil => {
            if let Some(known) = known {
                return Err(OpenError(format!(
                    "this Redis is empty where realm {realm} (world {known}) was before: connect to the right one, or \
                     restore it, or say --new-world to begin anew"
                )));
            }
            // Two servers may begin at once: the first one's id stands.
            let begin = cmd("HSETNX").arg(&world).arg("id").arg(&options.fresh_world).to_owned();
            link.call(&live, &begin).await.map_err(failed)?;
            let format = cmd("HSETNX").arg(&world).arg(FORMAT.0).arg(FORMAT.1).to_owned();
            link.call(&live, &format).await.map_err(failed)?;
        }
        found => {
            let found = reply::text(found).map_err(failed)?;
            if let Some(known) = known.filter(|known| *known != found) {
                return Err(OpenError(format!(
                    "this Redis holds another world ({found}) in realm {realm} than this data directory has served \
                     ({known}): connect to the right one, use another data directory, or say --new-world to go over to it"
                )));
            }
        }
    }
    let format = match link.call(&live, &read(FORMAT.0)).await.map_err(failed)? {
        Value::Nil => FORMAT.1.to_owned(),
        found => reply::text(found).map_err(failed)?,
    };
    if format != FORMAT.1 {
        return Err(OpenError(format!(
            "the realm has format {format}, this build reads {}: use the newer build",
            FORMAT.1
        )));
    }
    reply::text(link.call(&live, &read("id")).await.map_err(failed)?).map_err(failed)
}

/// The first connection. A Redis that was started together with this server may have much to read first.
async fn first(link: &Link) -> Result<Live, Failure> {
    let begun = Instant::now();
    loop {
        match link.live().await {
            Err(failure) if failure.is_loading() && begun.elapsed() < LOADING_TIME_MAX => sleep(LOOK_AGAIN_AFTER).await,
            answered => return answered,
        }
    }
}
