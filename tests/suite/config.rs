//! The settings: layers, origins, faults, and the files generated from their table.

use holdall_server::config::{self, Ack, Faults, Flag, KNOBS, Level, Loaded, Settings, SignIn, Sources, manual};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A config file of its own, gone when dropped.
pub(crate) struct File(pub(crate) PathBuf);

impl File {
    pub(crate) fn with(text: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("holdall-config-{process}-{number}.toml"));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn of_file(text: &str) -> Result<Loaded, String> {
    let file = File::with(text);
    told(&file, Settings::load(&Sources { file: Some(file.0.clone()), ..Sources::default() }))
}

fn told(file: &File, read: Result<Loaded, Faults>) -> Result<Loaded, String> {
    read.map_err(|faults| faults.to_string().replace(&file.0.display().to_string(), "holdall.toml"))
}

fn of_environment(pairs: &[(&str, &str)]) -> Result<Loaded, String> {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::load(&Sources { environment, ..Sources::default() }).map_err(|faults| faults.to_string())
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

mod the_table {
    use super::*;

    #[test]
    fn holdall_toml_is_what_config_manual_prints() {
        let file = std::fs::read_to_string(repository("config/holdall.toml")).unwrap();
        assert_eq!(file, manual(), "run: holdall config manual > config/holdall.toml");
    }

    #[test]
    fn the_manual_with_every_line_turned_on_is_the_defaults() {
        let lines = manual()
            .lines()
            .map(|line| {
                let knob = line
                    .strip_prefix("# ")
                    .filter(|line| KNOBS.iter().any(|k| line.starts_with(&format!("{} = ", k.name))));
                knob.unwrap_or(line).to_owned()
            })
            .collect::<Vec<_>>()
            .join("\n");
        let mut read = of_file(&lines).unwrap().settings;
        let defaults = Settings::default();
        assert_eq!(read.catalog.items_file.file_name(), defaults.catalog.items_file.file_name());
        assert!(!read.new_player.kit.is_empty(), "the shipped file gives a kit");
        read.catalog = defaults.catalog.clone();
        read.new_player = defaults.new_player.clone();
        read.server.data_dir.clone_from(&defaults.server.data_dir);
        assert_eq!(read, defaults);
    }

    #[test]
    fn every_knob_has_a_doc_and_a_default_within_its_range() {
        assert_eq!(KNOBS.len(), Settings::default().values().len());
        for knob in KNOBS {
            assert!(!knob.doc.is_empty(), "{}", knob.path);
        }
    }

    #[test]
    fn no_knob_takes_a_number_past_its_range() {
        for knob in KNOBS.iter().filter(|knob| knob.range.is_some()) {
            let (from, to) = knob.range.unwrap().split_once("..=").unwrap();
            let number = |text: &str| text.trim().replace('_', "").parse::<i128>().unwrap();
            for outside in [number(from) - 1, number(to) + 1] {
                let told = of_file(&format!("[{}]\n{} = {outside}\n", knob.section, knob.name)).expect_err(knob.path);
                assert!(told.contains(&format!("holdall.toml:2: {}: must be from", knob.path)), "{told}");
            }
        }
    }
}

mod layers {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_defaults() {
        let file = File::with("[limits]\nin_flight_max = 10\nexcess_max = 10\nactions_burst = 10\n");
        let env = |name: &str| (name.to_owned(), "20".to_owned());
        let loaded = Settings::load(&Sources {
            file: Some(file.0.clone()),
            environment: vec![env("HOLDALL_LIMITS__EXCESS_MAX"), env("HOLDALL_LIMITS__ACTIONS_BURST"), env("PATH")],
            flags: vec![Flag { flag: "--burst", path: "limits.actions_burst", text: "30".to_owned() }],
        })
        .unwrap();
        let limits = &loaded.settings.limits;
        assert_eq!(
            (limits.gifts_burst, limits.in_flight_max, limits.excess_max, limits.actions_burst),
            (5, 10, 20, 30)
        );
        let shown = loaded.show();
        for (line, origin) in [
            ("gifts_burst = 5", "# default"),
            ("in_flight_max = 10", "toml:2"),
            ("excess_max = 20", "# HOLDALL_LIMITS__EXCESS_MAX"),
            ("actions_burst = 30", "# --burst"),
        ] {
            let shown = shown.lines().find(|shown| shown.starts_with(line)).expect(line);
            assert!(shown.ends_with(origin), "{shown}");
        }
        assert!(of_file(&shown).is_ok(), "what is shown is a config file");
    }

    #[test]
    fn texts_of_digits_and_lists_come_through_the_environment() {
        let loaded = of_environment(&[
            ("HOLDALL_AUTH__AUDIENCE", "12345"),
            ("HOLDALL_SERVER__ORIGINS", "https://a.example, http://b.example:8080"),
            ("HOLDALL_EQUIPMENT__SLOTS", "[\"left\", \"right\"]"),
            ("HOLDALL_EQUIPMENT__HANDS", "left,right"),
            ("HOLDALL_INVENTORY__MAX_WEIGHT", "12.5"),
            ("HOLDALL_NEW_PLAYER__KIT", "[{ item = \"gold\", quantity = 7 }]"),
            ("HOLDALL_STORE__ACK", "applied"),
            ("HOLDALL_LOG__LEVEL", "debug"),
        ])
        .unwrap();
        let settings = &loaded.settings;
        assert_eq!(settings.auth.audience, "12345");
        assert_eq!(
            settings.server.origins.iter().map(|o| o.as_str()).collect::<Vec<_>>(),
            ["https://a.example", "http://b.example:8080"]
        );
        assert_eq!(settings.equipment.hands[1].as_str(), "right");
        assert_eq!(settings.inventory.max_weight.0, 12_500);
        assert_eq!(settings.new_player.kit[0].quantity.get(), 7);
        assert_eq!((settings.store.ack, settings.log.level), (Ack::Applied, Level::Debug));
    }

    #[test]
    fn paths_in_a_file_start_at_the_file_and_others_where_the_server_runs() {
        let file = File::with("[server]\ndata_dir = \"../things\"\n");
        let base = file.0.parent().unwrap();
        let loaded = Settings::load(&Sources { file: Some(file.0.clone()), ..Sources::default() }).unwrap();
        assert_eq!(loaded.settings.server.data_dir, base.join("../things"));
        assert_eq!(loaded.settings.catalog.items_file, base.join("items.toml"), "defaults go with the file");
        assert_eq!(loaded.settings.server.tls_key_file, None, "no path is not a path");
        let loaded = of_environment(&[("HOLDALL_SERVER__DATA_DIR", "here")]).unwrap();
        assert_eq!(loaded.settings.server.data_dir, Path::new("here"));
    }
}

mod faults {
    use super::*;

    #[test]
    fn all_of_them_are_told_with_line_and_suggestion() {
        let told = of_file(
            "[limit]\n[limits]\nframe_byte_max = 1\nin_flight_max = \"many\"\nexcess_max = 0\n[server]\nlisten = 7777\n\
             [equipment]\nslots = [\"main_hand\", \"Off\", \"off_hand\", 3]\n[new_player]\nkit = [\n  { itm = \"gold\" },\n  { item = \"gold\", quantity = 0 },\n]\n",
        )
        .unwrap_err();
        for line in [
            "holdall.toml:1: the config has no key \"limit\"; did you mean limits?",
            "holdall.toml:3: [limits] has no key \"frame_byte_max\"; did you mean frame_bytes_max?",
            "holdall.toml:4: limits.in_flight_max: must be a whole number, not a text",
            "holdall.toml:5: limits.excess_max: must be from 1 to 1000000, not 0",
            "holdall.toml:7: server.listen: must be an address and a port",
            "holdall.toml:9: equipment.slots: must be 1 to 32 characters",
            "holdall.toml:9: equipment.slots: must be an equipment slot, not a whole number",
            "holdall.toml:12: new_player.kit: a line of the kit has no key \"itm\"; did you mean item?",
            "holdall.toml:13: new_player.kit: quantity must be from 1",
        ] {
            assert!(told.contains(line), "{line}\nis missing from\n{told}");
        }
    }

    #[test]
    fn an_unknown_variable_is_one_and_its_value_is_not_repeated() {
        let told = of_environment(&[("HOLDALL_LIMITS__FRAME_BYTE_MAX", "s3cret"), ("OTHER", "x")]).unwrap_err();
        assert!(told.contains("did you mean HOLDALL_LIMITS__FRAME_BYTES_MAX?"), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    }

    #[test]
    fn a_file_that_is_not_there_or_not_toml_is_one() {
        let missing = Sources { file: Some("/nowhere/holdall.toml".into()), ..Sources::default() };
        assert!(Settings::load(&missing).unwrap_err().to_string().contains("/nowhere/holdall.toml: the config file"));
        assert!(of_file("[limits\n").unwrap_err().contains("holdall.toml:1: not TOML"));
        assert!(of_file("limits = 3\n").unwrap_err().contains("holdall.toml:1: limits is a section"));
    }

    #[test]
    fn settings_that_contradict_each_other_are_told() {
        for (text, part) in [
            ("[server]\nlisten = \"0.0.0.0:7777\"", "holdall.toml:2: server.listen: 0.0.0.0:7777 can be reached"),
            ("[auth]\nmode = \"jwt\"\naudience = \"game\"", "holdall.toml:2: auth.mode: \"jwt\" needs auth.key_file"),
            (
                "[auth]\nmode = \"jwt\"\nkey_file = \"gone\"\naudience = \"game\"",
                "holdall.toml:3: auth.key_file: the file cannot be read",
            ),
            ("[auth]\nmode = \"jwt\"\nkey_file = \"gone\"", "needs auth.audience"),
            ("[server]\ntls_cert_file = \"gone\"", "set tls_cert_file and tls_key_file"),
            ("[server]\noperator_listen = \"127.0.0.1:7777\"", "a port each"),
            ("[equipment]\nslots = [\"main_hand\", \"off_hand\", \"off_hand\"]", "off_hand stands twice"),
            ("[equipment]\nslots = [\"head\", \"off_hand\"]", "the hand main_hand is none of"),
            ("[equipment]\nhands = [\"main_hand\", \"main_hand\"]", "two different slots"),
            ("[equipment]\nhands = [\"main_hand\"]", "a list of two"),
            ("[limits]\nidle_timeout_ms = 20000", "ping_interval_ms must be below"),
            ("[new_player]\nkit = [{ item = \"gold\" }, { item = \"gold\" }]", "gold stands twice"),
            ("[server]\norigins = [\"https://a.example/\"]", "an origin without a path"),
            ("[server]\norigins = [\"*\"]", "an origin without a path"),
            ("[auth]\nalgorithm = \"none\"", "must be \"HS256\""),
        ] {
            let told = of_file(text).expect_err(text);
            assert!(told.contains(part), "{text}\n{told}");
        }
    }

    #[test]
    fn tokens_may_be_checked_on_any_address() {
        let key = File::with("a secret of thirty-two bytes or more");
        let text = format!(
            "[server]\nlisten = \"0.0.0.0:7777\"\n[auth]\nmode = \"jwt\"\naudience = \"game\"\nkey_file = {:?}\n",
            key.0.display().to_string()
        );
        let loaded = of_file(&text).unwrap();
        assert_eq!(loaded.settings.auth.mode, SignIn::Jwt);
        assert!(!loaded.show().contains("thirty-two"), "secrets stay in their files");
    }

    #[test]
    fn a_short_secret_is_refused() {
        let key = File::with("hunter2");
        let path = key.0.display().to_string();
        let told = of_file(&format!("[auth]\nmode = \"jwt\"\naudience = \"game\"\nkey_file = {path:?}\n")).unwrap_err();
        assert!(told.contains("auth.key_file: a secret shorter than 32 bytes"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_word_far_from_all_others_gets_no_suggestion() {
        assert_eq!(config::fault::did_you_mean("zzzzzz", ["listen", "data_dir"]), "");
        assert_eq!(config::fault::did_you_mean("LISTN", ["listen", "data_dir"]), "; did you mean listen?");
    }
}
