//! Brings the subcommand to the front: `builder --tls-verify=false bud .` is `builder bud --tls-verify=false .`.

use std::ffi::{OsStr, OsString};

use clap::Command;

/// Moves the subcommand's name in front of the flags before it, if there are any; else changes nothing.
pub(super) fn subcommand_first(mut arguments: Vec<OsString>, command: &Command) -> Vec<OsString> {
    if let Some(position) = position_of_subcommand(&arguments, command) {
        arguments[1..=position].rotate_right(1);
    }
    arguments
}

fn position_of_subcommand(arguments: &[OsString], command: &Command) -> Option<usize> {
    let mut position = 1;
    loop {
        let word = arguments.get(position)?;
        if !is_flag(word) {
            return names_a_subcommand(word, command).then_some(position);
        }
        position += if takes_next(word, command) { 2 } else { 1 };
    }
}

fn is_flag(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-") && word != "-" && word != "--"
}

fn names_a_subcommand(word: &OsStr, command: &Command) -> bool {
    word.to_str().is_some_and(|name| command.find_subcommand(name).is_some())
}

/// Whether the flag's value is the next word. What no subcommand knows is refused later, so its value is no matter.
fn takes_next(flag: &OsStr, command: &Command) -> bool {
    let Some(flag) = flag.to_str() else { return false };
    let mut known = command.get_subcommands().chain([command]).flat_map(Command::get_arguments);
    let found = match flag.strip_prefix("--") {
        Some(long) => known.find(|argument| {
            argument.get_long() == Some(long)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
        }),
        // `-f X`, but not `-fX`.
        None => known.find(|argument| argument.get_short().is_some_and(|short| flag == format!("-{short}"))),
    };
    found.is_some_and(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn flags_before_the_subcommand_come_to_stand_after_it() {
        for (line, expected) in [
            ("builder bud .", "builder bud ."),
            (
                "builder --storage-driver=vfs --tls-verify=true bud -t a .",
                "builder bud --storage-driver=vfs --tls-verify=true -t a .",
            ),
            (
                "builder --storage-driver vfs --tls-verify build build",
                "builder build --storage-driver vfs --tls-verify build",
            ),
            ("builder -t build -q build .", "builder build -t build -q ."),
            ("builder --authfile push push a", "builder push --authfile push a"),
            ("builder --net none bud .", "builder bud --net none ."),
            ("builder --help", "builder --help"),
            ("builder --no-such thing build", "builder --no-such thing build"),
            ("builder", "builder"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let ordered = subcommand_first(words, &Cli::command());
            assert_eq!(ordered.join(OsStr::new(" ")), expected, "{line}");
        }
    }
}
