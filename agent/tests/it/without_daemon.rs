//! What the command line says when there is nobody to ask.

use crate::host::warren;

#[test]
fn a_command_line_that_makes_no_sense_is_code_2() {
    for line in
        [&["dance"][..], &["ping"], &["status", "--yaml"], &["up", "a", "--key", "b"], &["ping", "x", "-c", "0"]]
    {
        assert_eq!(warren(line).code, 2, "{line:?}");
    }
}

#[test]
fn without_a_daemon_every_command_is_code_4_and_says_how_to_start_one() {
    for line in [&["status"][..], &["up"], &["down"], &["logout"], &["netcheck"], &["ping", "x"], &["path", "x"]] {
        let args = [&["--socket", "/nonexistent/warren.sock"], line].concat();

        warren(&args).expect(4, "warren daemon");
    }
}

#[test]
fn what_is_no_invite_is_code_2_before_anybody_is_asked() {
    warren(&["up", "warren_inv_damaged"]).expect(2, "not an invite");
    warren(&["up", "warren_inv_"]).expect(2, "not an invite");
    warren(&["up", "--key", "env:WARREN_NOT_SET"]).expect(2, "WARREN_NOT_SET");
    warren(&["up", "--key", "file:/nonexistent"]).expect(1, "/nonexistent");
}

#[test]
fn help_names_every_command_of_the_contract() {
    let help = warren(&["--help"]);

    assert_eq!(help.code, 0);
    for command in ["daemon", "up", "down", "logout", "status", "netcheck", "ping", "path"] {
        assert!(help.stdout.contains(command), "{command}");
    }
}

#[test]
fn the_daemons_flags_are_those_of_the_contract() {
    let help = warren(&["daemon", "--help"]).stdout;

    for flag in ["--state-dir", "--socket", "--tun", "--port", "--sa-keylog", "--suite"] {
        assert!(help.contains(flag), "{flag}");
    }
}
