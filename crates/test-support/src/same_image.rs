//! Builds of one image in many ways, a few at a time, and whether it is the same image.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;

use crate::output::Output;

/// The machines of CI have two cores.
const AT_A_TIME: usize = 2;

/// What a way to build is called, and the digest that came of it, or else what the build said.
pub type Built = (String, Result<String, Output>);

/// Does `work` with each of `all`, two at a time; the results are in no order.
pub fn each<T: Send, R: Send>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let pending = Mutex::new(all.into_iter().collect::<Vec<_>>());
    let results = Mutex::new(Vec::new());
    let next = || pending.lock().expect("a lock that no panic poisons").pop();
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(one) = next() {
                    let result = work(one);
                    results.lock().expect("a lock that no panic poisons").push(result);
                }
            });
        }
    });
    results.into_inner().expect("a lock that no panic poisons")
}

/// All must have succeeded and agree on the digest.
#[track_caller]
pub fn assert_same_image(all: impl IntoIterator<Item = Built>) {
    let mut digests = BTreeMap::<_, Vec<_>>::new();
    let mut wrong = Vec::new();
    for (name, built) in all {
        match built {
            Ok(digest) => digests.entry(digest).or_default().push(name),
            Err(output) => wrong.push(format!("{name}: {output}")),
        }
    }
    assert!(wrong.is_empty(), "{}\n{digests:#?}", wrong.join("\n"));
    assert_eq!(digests.len(), 1, "{digests:#?}");
}
