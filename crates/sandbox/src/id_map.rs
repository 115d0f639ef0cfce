//! Maps between the ids of a user namespace and those of the one around it (`user_namespaces(7)`).

use std::fs;

use serde::{Deserialize, Serialize};

use crate::error::{Attempt, Error};

/// A run of ids: `inside..inside+len` of the namespace are `outside..outside+len` of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// Number of ids, at least 1.
    pub len: u32,
}

/// The user and group ids that exist in a user namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<Extent>,
    /// Group ids.
    pub gids: Vec<Extent>,
}

impl IdMap {
    /// The map of the user namespace in which this process is.
    pub fn current() -> Result<Self, Error> {
        let read = |path: &str| {
            fs::read_to_string(path).map(|text| parse(&text)).attempt("read", || format!("read `{path}`"))
        };
        Ok(Self { uids: read("/proc/self/uid_map")?, gids: read("/proc/self/gid_map")? })
    }

    /// Root inside is `uid` and `gid` outside, and nobody else exists.
    pub fn single(uid: u32, gid: u32) -> Self {
        Self { uids: vec![only(uid)], gids: vec![only(gid)] }
    }

    /// Every id that exists in this namespace exists in the one below it under the same number.
    pub(crate) fn unchanged(&self) -> Self {
        let same = |extents: &[Extent]| {
            extents.iter().map(|extent| Extent { outside: extent.inside, ..*extent }).collect()
        };
        Self { uids: same(&self.uids), gids: same(&self.gids) }
    }

    /// Root inside is the caller outside; the subordinate `ranges` (first, length) follow from 1 on.
    pub(crate) fn subordinate(own: (u32, u32), uid_ranges: &[(u32, u32)], gid_ranges: &[(u32, u32)]) -> Self {
        Self { uids: stack(own.0, uid_ranges), gids: stack(own.1, gid_ranges) }
    }

    /// Whether a file can belong to this user id.
    pub fn contains_uid(&self, uid: u32) -> bool {
        contains(&self.uids, uid)
    }

    /// Whether a file can belong to this group id.
    pub fn contains_gid(&self, gid: u32) -> bool {
        contains(&self.gids, gid)
    }

    /// Number of user ids.
    pub fn len(&self) -> u64 {
        self.uids.iter().map(|extent| u64::from(extent.len)).sum()
    }

    /// Whether no user id is mapped.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty()
    }

    /// Whether this is the whole id space, as outside of all user namespaces.
    pub fn is_initial(&self) -> bool {
        matches!(self.uids[..], [Extent { inside: 0, outside: 0, len: u32::MAX }])
    }
}

fn only(id: u32) -> Extent {
    Extent { inside: 0, outside: id, len: 1 }
}

fn contains(extents: &[Extent], id: u32) -> bool {
    extents.iter().any(|extent| id >= extent.inside && id - extent.inside < extent.len)
}

fn stack(own: u32, ranges: &[(u32, u32)]) -> Vec<Extent> {
    let mut extents = vec![only(own)];
    let mut inside = 1_u32;
    for (first, len) in ranges {
        let len = (*len).min(u32::MAX - inside);
        if len > 0 {
            extents.push(Extent { inside, outside: *first, len });
        }
        inside += len;
    }
    extents
}

/// Reads the form of `/proc/PID/uid_map`; lines of any other form are not of the kernel and are skipped.
fn parse(text: &str) -> Vec<Extent> {
    let extent = |line: &str| {
        let mut fields = line.split_ascii_whitespace().map(|field| field.parse().ok());
        Some(Extent { inside: fields.next()??, outside: fields.next()??, len: fields.next()?? })
    };
    text.lines().filter_map(extent).collect()
}

/// The form that the kernel takes in one write.
pub(crate) fn render(extents: &[Extent]) -> String {
    let lines = extents.iter().map(|Extent { inside, outside, len }| format!("{inside} {outside} {len}\n"));
    lines.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_form_is_read_and_written() {
        let extents = parse("         0    1000000      65536\n     65536 7 1\n");
        assert_eq!(render(&extents), "0 1000000 65536\n65536 7 1\n");
    }

    #[test]
    fn an_id_is_contained_up_to_the_end_of_its_extent() {
        let map = IdMap::subordinate((1000, 1000), &[(100_000, 65536)], &[(100_000, 10)]);
        for (uid, held) in [(0, true), (1, true), (65536, true), (65537, false), (u32::MAX, false)] {
            assert_eq!(map.contains_uid(uid), held, "{uid}");
        }
        assert!(!map.contains_gid(11));
        assert_eq!(map.len(), 65537);
    }

    #[test]
    fn several_ranges_are_stacked_and_never_overflow() {
        let map = IdMap::subordinate((5, 5), &[(10, 2), (100, u32::MAX)], &[]);
        assert_eq!(render(&map.uids), format!("0 5 1\n1 10 2\n3 100 {}\n", u32::MAX - 3));
    }

    #[test]
    fn the_unchanged_map_of_a_kubelets_namespace_starts_at_its_own_ids() {
        let map = IdMap { uids: parse("0 1000000 65536"), gids: parse("0 1000000 65536") };
        assert_eq!(render(&map.unchanged().uids), "0 0 65536\n");
    }

    #[test]
    fn only_the_whole_id_space_is_initial() {
        let map = |text: &str| IdMap { uids: parse(text), gids: Vec::new() };
        assert!(map("0 0 4294967295").is_initial());
        assert!(!map("0 0 65536").is_initial());
        assert!(!map("0 1000 1").is_initial());
    }
}
