//! The shipped scripts in Stalwart's engine, with what its user scripts may do: each compiles,
//! and each does what its head says. Environment items are set by hand, since no Stalwart runs
//! scripts on IMAP events; that a script would work there is all that these tests can show.

#![cfg(test)]

use std::{fs, path::PathBuf};

use sieve::{Compiler, Event, Input, Recipient, Runtime, compiler::grammar::Capability};

const MAIL: &str = "From: Somebody <somebody@evil.example>\r\n\
                    To: alice@example.org\r\n\
                    Subject: an offer\r\n\
                    Message-ID: <1@evil.example>\r\n\
                    \r\n\
                    We have an offer for you.\r\n";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sieve")
}

fn script(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.sieve"))).unwrap()
}

/// As Stalwart 0.15 sets it up for users' scripts, by its defaults.
fn compiler() -> Compiler {
    Compiler::new()
        .with_max_script_size(1024 * 1024)
        .with_max_string_size(4096)
        .with_max_variable_name_size(32)
        .with_max_nested_blocks(15)
        .with_max_nested_tests(15)
        .with_max_match_variables(30)
        .with_max_local_variables(128)
        .with_max_header_size(1024)
        .with_max_includes(3)
}

fn runtime() -> Runtime {
    Runtime::new()
        .with_capability(Capability::Expressions)
        .with_cpu_limit(5000)
        .with_max_variable_size(4096)
        .with_max_redirects(1)
        .with_max_received_headers(10)
        .with_max_header_size(1024)
        .with_max_out_messages(3)
        .with_protected_headers([
            "Original-Subject",
            "Original-From",
            "Received",
            "Auto-Submitted",
        ])
        .with_env_variable("location", "MS")
        .with_env_variable("phase", "during")
}

#[derive(Debug, PartialEq)]
struct Filed {
    folder: String,
    special_use: Option<String>,
    create: bool,
    message: String,
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    kept: Vec<String>,
    sent: Vec<(String, String)>,
    filed: Vec<Filed>,
}

fn recipient(to: Recipient) -> String {
    match to {
        Recipient::Address(address) => address,
        other => panic!("not one address: {other:?}"),
    }
}

/// What a script does with a message, given the environment items of an IMAP event.
fn run(text: &str, mail: &str, env: &[(&'static str, &str)]) -> Outcome {
    let compiled = compiler().compile(text.as_bytes()).expect("compiles");
    let runtime = runtime();
    let mut instance = runtime.filter(mail.as_bytes());
    for (name, value) in env {
        instance.set_env_variable(*name, value.to_string());
    }
    let mut messages = vec![mail.to_string()];
    let mut outcome = Outcome::default();
    let mut input = Input::script("shipped", compiled);
    while let Some(event) = instance.run(input) {
        input = true.into();
        match event.expect("runs") {
            Event::Keep { message_id, .. } => outcome.kept.push(messages[message_id].clone()),
            Event::SendMessage {
                recipient: to,
                message_id,
                ..
            } => {
                outcome
                    .sent
                    .push((recipient(to), messages[message_id].clone()));
            }
            Event::FileInto {
                folder,
                special_use,
                create,
                message_id,
                ..
            } => {
                let message = messages[message_id].clone();
                outcome.filed.push(Filed {
                    folder,
                    special_use,
                    create,
                    message,
                });
            }
            Event::CreatedMessage {
                message_id,
                message,
            } => {
                assert_eq!(message_id, messages.len());
                messages.push(String::from_utf8(message).unwrap());
            }
            other => panic!("no script of ours should do this: {other:?}"),
        }
    }
    outcome
}

/// An event in a mailbox of alice's: its cause, the mailbox, and the flags that changed.
fn imap(
    cause: &'static str,
    mailbox: &'static str,
    changed: &'static str,
) -> Vec<(&'static str, &'static str)> {
    vec![
        ("imap.user", "alice@example.org"),
        ("imap.email", "alice@example.org"),
        ("imap.cause", cause),
        ("imap.mailbox", mailbox),
        ("imap.changedflags", changed),
    ]
}

fn untouched() -> Outcome {
    Outcome {
        kept: vec![MAIL.into()],
        ..Outcome::default()
    }
}

#[test]
fn every_script_compiles() {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sieve")
        {
            let text = fs::read(&path).unwrap();
            compiler()
                .compile(&text)
                .unwrap_or_else(|error| panic!("{path:?}: {error}"));
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["collect", "file-junk", "report-ham", "report-spam"]);
}

#[test]
fn a_report_is_a_marked_copy_and_the_original_stays() {
    for (name, class, mailbox) in [
        ("report-spam", "spam", "Junk"),
        ("report-ham", "ham", "INBOX"),
    ] {
        let text = script(name).replace("set \"token\" \"\";", "set \"token\" \"secret\";");
        let outcome = run(&text, MAIL, &imap("COPY", mailbox, ""));
        assert_eq!(
            outcome.kept,
            [MAIL],
            "{name} leaves the user's message alone"
        );
        let report = format!(
            "X-Learnspool-Report: v1; class={class}; user=alice@example.org; token=secret\r\n{MAIL}"
        );
        assert_eq!(outcome.sent, [(format!("{class}@example.org"), report)]);
    }
}

#[test]
fn without_a_token_none_is_sent() {
    let outcome = run(&script("report-spam"), MAIL, &imap("APPEND", "Junk", ""));
    assert!(
        outcome.sent[0]
            .1
            .starts_with("X-Learnspool-Report: v1; class=spam; user=alice@example.org\r\nFrom:")
    );
}

#[test]
fn what_is_no_report_does_nothing() {
    let spam = script("report-spam");
    for mailbox in ["INBOX", "Archive", "Junkyard", "My Junk"] {
        assert_eq!(
            run(&spam, MAIL, &imap("COPY", mailbox, "")),
            untouched(),
            "into {mailbox}"
        );
    }
    let ham = script("report-ham");
    for mailbox in [
        "Trash",
        "Trash/old",
        "Trash.old",
        "Junk",
        "Junk/2026",
        "Junk.2026",
    ] {
        assert_eq!(
            run(&ham, MAIL, &imap("COPY", mailbox, "")),
            untouched(),
            "to {mailbox}"
        );
    }
    for changed in ["\\Seen", "JunkRecorded", "\\Seen $Junkish", ""] {
        assert_eq!(
            run(&spam, MAIL, &imap("FLAG", "INBOX", changed)),
            untouched(),
            "{changed}"
        );
        assert_eq!(
            run(&ham, MAIL, &imap("FLAG", "INBOX", changed)),
            untouched(),
            "{changed}"
        );
    }
}

#[test]
fn a_flag_counts_where_it_is_set_now() {
    let spam = script("report-spam");
    assert!(spam.contains("# These are not reports:"));
    // Stalwart's engine knows no flags of a stored message, so the script sets them itself.
    let flagged = |flag: &str| {
        spam.replacen(
            "# These are not reports:",
            &format!("setflag \"{flag}\";\n# These are not reports:"),
            1,
        )
    };
    let event = imap("FLAG", "INBOX", "\\Flagged $Junk");
    assert_eq!(
        run(&flagged("$Junk"), MAIL, &event).sent.len(),
        1,
        "it was set"
    );
    assert_eq!(run(&spam, MAIL, &event), untouched(), "it was removed");
}

#[test]
fn collection_accounts_report_nothing() {
    for name in ["report-spam", "report-ham"] {
        for user in ["spam@example.org", "ham@example.org"] {
            for mailbox in ["Junk", "INBOX"] {
                let mut event = imap("COPY", mailbox, "");
                event[0].1 = user;
                assert_eq!(run(&script(name), MAIL, &event), untouched());
            }
        }
    }
}

#[test]
fn what_rspamd_marked_is_filed() {
    let text = script("file-junk");
    for field in [
        "X-Spam: Yes",
        "X-Spam-Flag: YES",
        "X-Spam-Status: Yes, score=12.3",
    ] {
        let message = format!("{field}\r\n{MAIL}");
        let filed = Filed {
            folder: "Junk Mail".into(),
            special_use: Some("\\Junk".into()),
            create: true,
            message: message.clone(),
        };
        assert_eq!(
            run(&text, &message, &[]),
            Outcome {
                filed: vec![filed],
                ..Outcome::default()
            }
        );
    }
    assert_eq!(run(&text, MAIL, &[]), untouched());
    let ham = format!("X-Spam-Status: No, score=-1.2\r\n{MAIL}");
    assert_eq!(run(&text, &ham, &[]).kept, [ham]);
}

#[test]
fn a_collection_account_has_everything_in_its_inbox() {
    let message = format!("X-Spam: Yes\r\nX-Learnspool-Report: v1; class=spam\r\n{MAIL}");
    let filed = Filed {
        folder: "INBOX".into(),
        special_use: None,
        create: false,
        message: message.clone(),
    };
    let outcome = run(&script("collect"), &message, &[]);
    assert_eq!(
        outcome,
        Outcome {
            filed: vec![filed],
            ..Outcome::default()
        }
    );
}
