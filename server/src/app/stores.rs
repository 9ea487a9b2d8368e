//! Opening the store that the settings name.

use super::{StartError, data_dir::DataDir};
use crate::{
    clock::Dice,
    config::{self, Settings},
    store::{
        Store,
        embedded::Embedded,
        redis::{self, Redis},
    },
};
use rand::RngCore as _;
use std::{fs, path::Path, sync::Arc, time::Duration};

/// Opens it. `new_world`: a Redis without the world that this data directory has served is welcome.
pub(super) async fn open(settings: &Settings, data: &DataDir, new_world: bool) -> Result<Arc<dyn Store>, StartError> {
    match settings.store.url.redis() {
        None => {
            let file = data.store_file();
            let opened = Embedded::open(&file, settings.store.cache_bytes, data.node().clone());
            Ok(Arc::new(opened.map_err(|error| StartError::Store(format!("{}: {error}", file.display())))?))
        }
        Some(url) => {
            let options = redis_options(url, &settings.store, data, new_world)?;
            let opened = Redis::open(options, data.node().clone()).await;
            let redis = opened.map_err(|error| StartError::Store(error.to_string()))?;
            data.learn_world(settings.store.realm.as_str(), redis.world())?;
            Ok(Arc::new(redis))
        }
    }
}

fn redis_options(
    url: &str,
    store: &config::Store,
    data: &DataDir,
    new_world: bool,
) -> Result<redis::Options, StartError> {
    let read = |file: &Path| fs::read(file).map_err(|error| StartError::Config(format!("{}: {error}", file.display())));
    let password = store.password_file.as_deref().map(read).transpose()?;
    let password = password.map(|bytes| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned());
    let mut dice = Dice::from_os();
    Ok(redis::Options {
        url: url.to_owned(),
        password,
        ca_cert: store.ca_file.as_deref().map(read).transpose()?,
        realm: store.realm.as_str().to_owned(),
        lease: Duration::from_millis(store.lease_ms),
        known_world: data.known_world(store.realm.as_str())?,
        new_world,
        fresh_world: format!("{:016x}{:016x}", dice.next_u64(), dice.next_u64()),
    })
}
