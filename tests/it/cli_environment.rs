//! What surrounds a command: help, the page about it, shells, `KEEL_CONFIG` and `.env`.

use crate::keel::{files, keel, keel_with, ran};
use std::path::Path;
use std::process::Command;

/// The commands below `args`, as their help lists them.
fn commands(args: &[&str]) -> Vec<String> {
    let help = keel(Path::new("."), &[args, &["--help"]].concat()).out;
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_page_names_every_command_option_and_exit_code() {
    let page = include_str!("../../docs/cli.md");
    let known = every_command();
    assert!(known.len() >= 15, "{known:?}");
    for command in &known {
        assert!(page.contains(&format!("keel {command}")), "docs/cli.md lacks keel {command}");
        let args: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        for option in keel(Path::new("."), &args).out.split_whitespace() {
            let option = option.trim_end_matches([',', ':', '.', '`', ')', ']']);
            if option.starts_with("--") && option != "--help" {
                assert!(page.contains(option), "docs/cli.md lacks {option} of keel {command}");
            }
        }
    }
    let codes = include_str!("../../src/exit.rs")
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = ")?.1.parse::<u8>().ok());
    let mut seen = 0;
    for code in codes {
        seen += 1;
        assert!(page.contains(&format!("| {code} |")), "docs/cli.md lacks exit code {code}");
    }
    assert!(seen >= 8, "exit codes are read from src/exit.rs");
}

/// The commands with all that are below them.
fn every_command() -> Vec<String> {
    let mut known = Vec::new();
    for command in commands(&[]) {
        let below = commands(&[&command]);
        known.extend(below.iter().map(|name| format!("{command} {name}")));
        known.push(command);
    }
    known
}

#[test]
fn every_shell_completes_every_command() {
    let known = every_command();
    for (shell, sign) in [
        ("bash", "complete -F _keel"),
        ("zsh", "#compdef keel"),
        ("fish", "complete -c keel"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let run = keel(Path::new("."), &["completions", shell]);
        run.expect(0, &[sign]);
        let words: Vec<&str> =
            run.out.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).collect();
        for name in known.iter().flat_map(|command| command.split(' ')) {
            assert!(words.contains(&name), "{shell} does not complete {name}");
        }
    }
    keel(Path::new("."), &["completions", "csh"]).expect(2, &["csh", "bash", "fish"]);
}

/// A configuration in `place` that can be told apart by its smallest order, and its path.
fn configuration(place: &Path, name: &str, bot_settings: &str) {
    let text = format!(
        r#"{{ "bot_settings": {{ {bot_settings} }},
  "paths": {{ "portfolio_strategies_dir": "out/strategies", "global_status_file_path": "out/status.json" }},
  "exchanges_credentials": {{ "main": {{ "apiKey": "${{KEEL_TEST_KEY}}", "secret": "${{KEEL_TEST_SECRET}}" }} }},
  "exchange_configurations": {{ "binance": {{ "credentials_key": "main" }} }},
  "portfolio_assets": [
    {{ "ticker": "USDT", "level": 0, "strategy_file": "USDT.json", "strategy_name": "keltner_channel" }},
    {{ "ticker": "BTC", "level": 1, "exchange": "binance", "coingecko_id": "bitcoin",
      "position_interval": 3600, "trend_interval": 14400,
      "strategy_file": "BTC.json", "strategy_name": "keltner_channel" }} ] }}"#
    );
    let path = place.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const SHOW: [&str; 3] = ["config", "show", "--json"];

#[test]
fn the_configuration_comes_from_the_option_then_keel_config_then_its_usual_place() {
    let place = tempfile::tempdir().unwrap();
    for (name, smallest) in
        [("option.json", 21), ("named.json", 22), ("portfolio/configs/portfolio_config.json", 23)]
    {
        let settings = format!(r#""dry_run": true, "min_order_value_usd": {smallest}"#);
        configuration(place.path(), name, &settings);
    }
    let shown = |args: &[&str], named: Option<&str>| {
        let variables: Vec<(&str, &str)> =
            named.map(|path| ("KEEL_CONFIG", path)).into_iter().collect();
        let run = keel_with(place.path(), &variables, &[&SHOW[..], args].concat());
        run.expect(0, &[]);
        run.json()["bot_settings"]["min_order_value_usd"].as_f64()
    };
    assert_eq!(shown(&["-c", "option.json"], Some("named.json")), Some(21.0));
    assert_eq!(shown(&[], Some("named.json")), Some(22.0));
    assert_eq!(shown(&[], None), Some(23.0));
    // A name that leads nowhere is an error, and never the usual place instead.
    let absent = [("KEEL_CONFIG", "absent.json")];
    for command in [&["check"][..], &["status"], &["trades"], &["why", "BTC"], &["config", "show"]]
    {
        keel_with(place.path(), &absent, command).expect(2, &["absent.json", "no such file"]);
    }
}

#[test]
fn credentials_come_from_the_environment_before_the_env_file() {
    let place = tempfile::tempdir().unwrap();
    configuration(place.path(), "live.json", r#""dry_run": false"#);
    let check = ["check", "-c", "live.json"];
    keel(place.path(), &check).expect(
        2,
        &[
            "KEEL_TEST_KEY is not set",
            "KEEL_TEST_SECRET is not set",
            "in the environment or in .env",
        ],
    );
    let both = [("KEEL_TEST_KEY", "canary-1"), ("KEEL_TEST_SECRET", "canary-2")];
    keel_with(place.path(), &both, &check).expect(0, &["live trading"]);

    std::fs::write(
        place.path().join(".env"),
        "# keys\nexport KEEL_TEST_KEY='canary-3'\nKEEL_TEST_SECRET=canary-4\n",
    )
    .unwrap();
    let before = files(place.path());
    keel(place.path(), &check).expect(0, &["live trading"]);
    // An empty variable of the process hides the line of the file.
    let emptied = [("KEEL_TEST_KEY", "")];
    keel_with(place.path(), &emptied, &check).expect(2, &["KEEL_TEST_KEY is empty"]);
    let shown = keel(place.path(), &[&SHOW[..], &["-c", "live.json"]].concat());
    shown.expect(0, &["${KEEL_TEST_KEY}"]);
    assert!(!format!("{shown:?}").contains("canary"), "{shown:?}");
    assert_eq!(files(place.path()), before, "reading commands write nothing");
}

#[test]
fn a_wrong_env_file_is_told_with_its_line_and_without_its_values() {
    let place = tempfile::tempdir().unwrap();
    configuration(place.path(), "my.json", r#""dry_run": true"#);
    let env = place.path().join(".env");
    std::fs::write(&env, "A=canary\nnonsense canary\nA=canary\n").unwrap();
    let check = ["check", "-c", "my.json"];
    let told = keel(place.path(), &check);
    told.expect(2, &[".env:2:1", ".env:3:1", "expected NAME=value"]);
    let json = keel(place.path(), &[&check[..], &["--json"]].concat());
    assert_eq!((json.code, json.err.as_str()), (2, ""));
    assert_eq!(json.json()["findings"][1]["problem"]["line"], 3);
    assert!(!format!("{told:?} {json:?}").contains("canary"), "{told:?}");
    std::fs::remove_file(&env).unwrap();
    std::fs::create_dir(&env).unwrap();
    keel(place.path(), &check).expect(2, &[".env cannot be read", "NAME=value"]);
}

/// As in a container: nothing can be written but the volume, the user has no name and no home, and there are neither
/// certificates nor time zones. A superuser may write anywhere, so the test becomes somebody else then.
#[test]
fn f104_nothing_but_the_volume_is_needed_no_home_no_certificates_no_time_zones() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const SOMEBODY: u32 = 54_321;
    let place = tempfile::tempdir().unwrap();
    let [volume, closed, program] =
        ["volume", "closed", "keel"].map(|name| place.path().join(name));
    configuration(&volume, "my.json", r#""dry_run": true, "max_retries_network": 0"#);
    let nobody_listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = std::fs::read_to_string(volume.join("my.json")).unwrap();
    let text = text
        .replace(
            r#""credentials_key": "main""#,
            &format!(r#""urls": {{ "api": "https://{nobody_listens}" }}"#),
        )
        .replace(
            r#""paths":"#,
            &format!(r#""coingecko": {{ "base_url": "https://{nobody_listens}" }}, "paths":"#),
        );
    std::fs::write(volume.join("my.json"), text).unwrap();
    // The directory of the build may be closed to others. Another process copies: while one of ours had the copy open
    // for writing, tests beside this one could inherit it, and it could not be run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_keel")).arg(&program).status();
    assert!(copied.unwrap().success());
    let is_superuser = rustix::process::geteuid().is_root();
    std::fs::create_dir(&closed).unwrap();
    // Its owner may write there, who is somebody else then.
    let closed_mode = if is_superuser { 0o755 } else { 0o555 };
    for (path, mode) in [(place.path(), 0o755), (&closed, closed_mode)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    if is_superuser {
        for path in [&volume, &volume.join("my.json")] {
            chown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
    }
    let keel = |directory: &Path, args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(directory).env_clear().envs([
            ("TZ", "Nowhere/Odd"),
            ("TMPDIR", "/nowhere"),
            ("SSL_CERT_FILE", "/nowhere"),
            ("SSL_CERT_DIR", "/nowhere"),
        ]);
        if is_superuser {
            command.uid(SOMEBODY).gid(SOMEBODY);
        }
        ran(&mut command)
    };
    keel(&volume, &["demo", "--days", "3"]).expect(0, &["HODL"]);
    let config = "demo-output/portfolio_config.json";
    keel(&volume, &["status", "-c", config]).expect(0, &[":00:00Z (demo"]);
    // It gets as far as connecting: a client that wants certificates of the machine is not even made.
    let no_answer = ["PROBLEM  binance: its time could not be read", "PROBLEM  CoinGecko"];
    let doctor = keel(&volume, &["doctor", "-c", "my.json"]);
    doctor.expect(7, &no_answer);
    doctor.expect(7, &["every directory is there or can be made"]);
    // A place that is not the volume is told before a run, not by it.
    keel(&closed, &["doctor", "-c", "../volume/my.json"])
        .expect(7, &["out/status.json cannot be written", "allow writing"]);
}
