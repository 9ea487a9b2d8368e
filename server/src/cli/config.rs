//! The `config` commands: a look at the settings.

use super::{load, print, report, sources};
use crate::{
    catalog::Rules,
    config::{CatalogFile, Loaded, Settings, manual},
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Which look at the settings.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// What to show.
    #[command(subcommand)]
    pub verb: ConfigVerb,
    /// Config file [default: config/holdall.toml, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
}

/// A look at the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigVerb {
    /// Check config and catalogue, and print everything that is wrong
    Check,
    /// Print every setting with its value and where it came from
    Show,
    /// Print the config file as it is shipped, every knob explained
    Manual,
}

/// Runs a `config` command.
pub(super) fn run(args: &ConfigArgs) -> ExitCode {
    let sources = sources(args.config.as_deref());
    match args.verb {
        ConfigVerb::Manual => print(&manual()),
        ConfigVerb::Show => match Settings::load(&sources) {
            Ok(loaded) => print(&loaded.show()),
            Err(faults) => report(&faults),
        },
        ConfigVerb::Check => match load(&sources) {
            Ok((loaded, rules)) => print(&in_order(&loaded, &rules)),
            Err(faults) => report(&faults),
        },
    }
}

/// What a check says of files with nothing wrong in them.
fn in_order(Loaded { file, settings, .. }: &Loaded, rules: &Rules) -> String {
    let file = file.as_ref().map_or_else(|| "defaults".to_owned(), |file| file.display().to_string());
    let CatalogFile { items_file, migrations_file, shop_file } = &settings.catalog;
    let items = format!("{} items, hash {}", rules.catalog.len(), rules.catalog.hash());
    let steps = match rules.migrations.len() {
        0 => "no content steps".to_owned(),
        1 => "in order, 1 content step".to_owned(),
        steps => format!("in order, {steps} content steps"),
    };
    let skus = match rules.shop.len() {
        0 if !shop_file.exists() => "not there, so that nothing is for sale".to_owned(),
        0 => "nothing for sale".to_owned(),
        1 => "in order, 1 SKU".to_owned(),
        skus => format!("in order, {skus} SKUs"),
    };
    format!(
        "{file}: in order\n{}: in order, {items}\n{}: {steps}\n{}: {skus}\n",
        items_file.display(),
        migrations_file.display(),
        shop_file.display()
    )
}
