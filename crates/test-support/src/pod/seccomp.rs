//! The system calls that a container may make: the `RuntimeDefault` filters, and tests that take calls away.
//!
//! A filter is a list of rules in `fixtures/pods`. A rule answers calls, always or where the container holds (`with`)
//! or lacks (`without`) capabilities, and only `if` each condition on a numbered argument holds. Knows nothing of pods.

use serde_json::{Value, json};

use super::runtime::Runtime;

/// A system call that is taken away from a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denied {
    pub(super) call: String,
    /// `EPERM` or `ENOSYS`.
    pub(super) errno: &'static str,
}

/// `linux.seccomp` of an OCI runtime config for a container that may hold `capabilities` under the filter of `runtime`.
///
/// Calls of `denied` fail whatever the filter says. `None` where nothing is filtered.
pub(super) fn config(runtime: Option<Runtime>, capabilities: &[String], denied: &[Denied]) -> Option<Value> {
    let document = match runtime {
        Some(runtime) => runtime.filter(),
        None if denied.is_empty() => return None,
        None => json!({ "otherwise": "allow", "rules": [] }),
    };
    let refused = |errno| {
        let calls: Vec<_> =
            denied.iter().filter(|denied| denied.errno == errno).map(|denied| denied.call.clone()).collect();
        answer(errno, &calls)
    };
    let mut rules = vec![refused("EPERM"), refused("ENOSYS")];
    rules.extend(list(&document, "rules").iter().filter(|rule| applies(rule, capabilities)).map(|rule| {
        let mut config = answer(text(rule, "answer"), &words(rule, "calls"));
        let is_left = |name: &Value| !denied.iter().any(|denied| *name == denied.call);
        config["names"].as_array_mut().expect("a list of names").retain(is_left);
        let conditions: Vec<_> = words(rule, "if").iter().map(|condition| argument(condition)).collect();
        if !conditions.is_empty() {
            config["args"] = conditions.into();
        }
        config
    }));
    rules.retain(|rule| rule["names"] != json!([]));
    let otherwise = answer(text(&document, "otherwise"), &[]);
    let mut config = json!({
        "defaultAction": otherwise["action"],
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    });
    if let Some(errno) = otherwise.get("errnoRet") {
        config["defaultErrnoRet"] = errno.clone();
    }
    Some(config)
}

/// Whether the capabilities are those that a rule is for.
fn applies(rule: &Value, capabilities: &[String]) -> bool {
    words(rule, "with").iter().all(|name| capabilities.contains(name))
        && !words(rule, "without").iter().any(|name| capabilities.contains(name))
}

fn answer(word: &str, calls: &[String]) -> Value {
    let errno = match word {
        "allow" => return json!({ "names": calls, "action": "SCMP_ACT_ALLOW" }),
        "EPERM" => 1,
        "EINVAL" => 22,
        "ENOSYS" => 38,
        _ => panic!("no answer of a filter is `{word}`"),
    };
    json!({ "names": calls, "action": "SCMP_ACT_ERRNO", "errnoRet": errno })
}

/// A condition: `0 == 16`, or with a mask `0 & 0x7e020000 == 0`.
fn argument(condition: &str) -> Value {
    let words: Vec<_> = condition.split(' ').collect();
    let (index, operator, value, second) = match words.as_slice() {
        [index, "==", value] => (index, "SCMP_CMP_EQ", value, "0"),
        [index, "!=", value] => (index, "SCMP_CMP_NE", value, "0"),
        [index, "<", value] => (index, "SCMP_CMP_LT", value, "0"),
        [index, ">", value] => (index, "SCMP_CMP_GT", value, "0"),
        [index, "&", mask, "==", value] => (index, "SCMP_CMP_MASKED_EQ", mask, *value),
        _ => panic!("no condition of a filter is `{condition}`"),
    };
    json!({ "index": number(index), "op": operator, "value": number(value), "valueTwo": number(second) })
}

fn number(text: &str) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|error| panic!("`{text}` in a filter: {error}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value, key: &str) -> Vec<String> {
    list(value, key).iter().map(|word| word.as_str().expect("a list of words").to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a call in each rule that names it.
    fn answers(config: &Value, call: &str) -> Vec<String> {
        let rules =
            list(config, "syscalls").iter().filter(|rule| words(rule, "names").contains(&call.to_owned()));
        rules
            .map(|rule| format!("{}{}", text(rule, "action"), rule.get("args").map_or("", |_| " if")))
            .collect()
    }

    #[test]
    fn capabilities_decide_on_rules() {
        let admin = ["CAP_SYS_ADMIN".to_owned()];
        for (runtime, capabilities, call, expected) in [
            (Runtime::Containerd, &admin[..], "unshare", &["SCMP_ACT_ALLOW"][..]),
            (Runtime::Containerd, &[], "unshare", &[]),
            (Runtime::Containerd, &[], "clone", &["SCMP_ACT_ALLOW if"]),
            (Runtime::Containerd, &[], "clone3", &["SCMP_ACT_ERRNO"]),
            (Runtime::Crio, &[], "chroot", &["SCMP_ACT_ERRNO"]),
            (Runtime::Crio, &admin, "sethostname", &["SCMP_ACT_ALLOW"]),
            (Runtime::Crio, &[], "ptrace", &["SCMP_ACT_ALLOW"]),
        ] {
            let config = config(Some(runtime), capabilities, &[]).expect("a filter");
            assert_eq!(answers(&config, call), expected, "{call} under {runtime:?} with {capabilities:?}");
        }
    }

    #[test]
    fn a_call_that_is_taken_away_has_one_answer() {
        let denied = [("ptrace", "EPERM"), ("clone", "ENOSYS")]
            .map(|(call, errno)| Denied { call: call.to_owned(), errno });
        for runtime in [None, Some(Runtime::Containerd), Some(Runtime::Crio)] {
            let config = config(runtime, &[], &denied).expect("a filter");
            for call in ["ptrace", "clone"] {
                assert_eq!(answers(&config, call), ["SCMP_ACT_ERRNO"], "{call} under {runtime:?}");
            }
        }
    }

    #[test]
    fn nothing_is_filtered_where_nothing_is_denied() {
        assert_eq!(config(None, &[], &[]), None);
    }

    #[test]
    fn conditions_are_of_arguments() {
        assert_eq!(
            argument("0 & 0x7e020000 == 0"),
            json!({ "index": 0, "op": "SCMP_CMP_MASKED_EQ", "value": 0x7e02_0000, "valueTwo": 0 })
        );
        assert_eq!(argument("2 != 9"), json!({ "index": 2, "op": "SCMP_CMP_NE", "value": 9, "valueTwo": 0 }));
    }
}
