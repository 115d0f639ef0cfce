//! Steps that do not want to end, and steps that end in strange ways: nothing of them is left, and the builder tells what
//! happened.

use crate::steps::{Attack, Way, is_running};

#[test]
fn daemons_end_with_their_step() {
    for way in Way::ALL {
        let output = Attack::new(way).build("RUN /attacker daemons 880011; sleep 0.2", &[]).success();
        assert!(!is_running("880011"), "{way:?}\n{output}");
    }
}

/// Its number of processes is limited, as by a pod.
#[test]
fn a_fork_bomb_fails_its_step_and_no_more() {
    for way in [Way::Namespaces, Way::NamespacesOfUser, Way::TraceOfUser] {
        let attack = Attack::started_by(way, "prlimit --nproc=400");
        let output = attack.build("USER 1000\nRUN [\"/attacker\", \"fork-bomb\", \"880012\"]", &[]).exits(9);
        assert!(output.stderr.contains("RUN failed with exit code 9"), "{way:?}\n{output}");
        assert!(!is_running("880012"), "{way:?}\n{output}");
    }
}

#[test]
fn a_step_that_closes_everything_is_told_of_as_any_other() {
    for way in Way::ALL {
        let output = Attack::new(way).build("RUN [\"/attacker\", \"closed\"]", &[]).exits(7);
        assert!(output.stderr.contains("RUN failed with exit code 7"), "{way:?}\n{output}");
    }
}

#[test]
fn a_step_that_ignores_signals_ends_when_the_build_is_interrupted() {
    for way in Way::ALL {
        let text = "RUN [\"/attacker\", \"stubborn\", \"880013\"]";
        assert_eq!(Attack::new(way).interrupt(text, "880013"), Some(130), "{way:?}");
    }
}

#[test]
fn a_step_that_has_stopped_itself_ends_when_the_build_is_interrupted() {
    for way in Way::ALL {
        let text = "RUN [\"/attacker\", \"stopped\", \"880014\"]";
        assert_eq!(Attack::new(way).interrupt(text, "880014"), Some(130), "{way:?}");
    }
}
