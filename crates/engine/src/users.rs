//! Names to ids by the image's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
//!
//! The files are the image's, so they may be anything: a link is followed inside the root only, a pipe or device is not
//! read, and no more than a few megabytes are.

use std::path::Path;

use layer::Root;

use crate::error::{Cause, Error};

const LIMIT: u64 = 4 << 20;
const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Who runs a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups in ascending order.
    pub(crate) groups: Vec<u32>,
    /// The home directory; `/` when the image does not say.
    pub(crate) home: String,
}

/// Finds the user of a RUN: `name-or-uid[:name-or-gid]`; an empty text is root.
///
/// Supplementary groups are those that list the user, unless a group is given, as runtimes do it. A number needs no
/// entry; its group is then 0.
pub(crate) fn user(root: &Root, text: &str) -> Result<User, Error> {
    let (user, group) = split(text);
    let users = Users::read(root)?;
    let user = if user.is_empty() { "0" } else { user };
    let account = users.account(user);
    let uid = match (account, user.parse()) {
        (Some(account), _) => account.uid,
        (None, Ok(uid)) => uid,
        (None, Err(_)) => return Err(unknown("user", user, PASSWD)),
    };
    let (gid, groups) = match group {
        Some(group) => (users.gid(group)?, Vec::new()),
        None => (
            account.map_or(0, |account| account.gid),
            account.map_or(Vec::new(), |a| users.groups_of(&a.name)),
        ),
    };
    let home = account.map_or("/", |account| &account.home).to_owned();
    Ok(User { uid, gid, groups, home })
}

/// Finds the owner of the directories that WORKDIR makes: that of a copy, where `user` is what USER said; none is root.
pub(crate) fn owner_of_workdir(root: &Root, user: &str) -> Result<(u32, u32), Error> {
    let (name, _) = split(user);
    if name.is_empty() { owner(root, &format!("0{user}")) } else { owner(root, user) }
}

/// Finds the owner that `--chown` names; a number without a group is its own group (Dockerfile reference, "COPY
/// --chown").
pub(crate) fn owner(root: &Root, text: &str) -> Result<(u32, u32), Error> {
    let (user, group) = split(text);
    // Numbers need no look into the image, which may have no such files at all.
    if let (Ok(uid), Ok(gid)) = (user.parse(), group.unwrap_or(user).parse()) {
        return Ok((uid, gid));
    }
    let users = Users::read(root)?;
    let account = users.account(user);
    let uid = match (user.parse(), account) {
        (Ok(uid), _) => uid,
        (Err(_), Some(account)) => account.uid,
        (Err(_), None) => return Err(unknown("user", user, PASSWD)),
    };
    let gid = match (group, account) {
        (Some(group), _) => users.gid(group)?,
        (None, Some(account)) => account.gid,
        (None, None) => uid,
    };
    Ok((uid, gid))
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    }
}

fn unknown(kind: &'static str, name: &str, file: &'static str) -> Error {
    Cause::UnknownName { kind, name: name.to_owned(), file }.into()
}

struct Users {
    accounts: Vec<Account>,
    groups: Vec<Group>,
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl Users {
    fn read(root: &Root) -> Result<Self, Error> {
        let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
        let account = |line: &str| match fields(line).as_slice() {
            [name, _, uid, gid, rest @ ..] => Some(Account {
                name: name.clone(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: rest.get(1).filter(|home| !home.is_empty()).map_or("/", String::as_str).to_owned(),
            }),
            _ => None,
        };
        let group = |line: &str| match fields(line).as_slice() {
            [name, _, gid, rest @ ..] => Some(Group {
                name: name.clone(),
                gid: gid.parse().ok()?,
                members: rest.first().map_or(Vec::new(), |m| m.split(',').map(str::to_owned).collect()),
            }),
            _ => None,
        };
        Ok(Self {
            accounts: read(root, PASSWD)?.lines().filter_map(account).collect(),
            groups: read(root, GROUP)?.lines().filter_map(group).collect(),
        })
    }

    /// By name, else by number.
    fn account(&self, user: &str) -> Option<&Account> {
        let named = self.accounts.iter().find(|account| account.name == user);
        let uid = user.parse::<u32>().ok();
        named.or_else(|| self.accounts.iter().find(|account| Some(account.uid) == uid))
    }

    fn gid(&self, group: &str) -> Result<u32, Error> {
        let named = self.groups.iter().find(|known| known.name == group).map(|known| known.gid);
        named.or_else(|| group.parse().ok()).ok_or_else(|| unknown("group", group, GROUP))
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        let is_member = |group: &&Group| group.members.iter().any(|member| member == user);
        let mut gids: Vec<_> = self.groups.iter().filter(is_member).map(|group| group.gid).collect();
        gids.sort_unstable();
        gids.dedup();
        gids
    }
}

fn read(root: &Root, path: &str) -> Result<String, Error> {
    let read = root.read_bounded(Path::new(path), LIMIT);
    let bytes =
        read.map_err(|source| Cause::Layer { action: format!("read {path} of the image"), source })?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/var/www:\nbroken\n7:x:70:71::/seven:\n";
        fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        fs::write(dir.path().join("etc/group"), "root:x:0:\nwww:x:102:\nssl:x:33:web,root\nadm:x:4:web\n")
            .unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn user_of_a_run() {
        let (_dir, root) = image();
        let found = |text| user(&root, text).map(|u| (u.uid, u.gid, u.groups, u.home)).unwrap();
        assert_eq!(found(""), (0, 0, vec![33], "/root".into()));
        assert_eq!(found("web"), (101, 102, vec![4, 33], "/var/www".into()));
        assert_eq!(found("101"), (101, 102, vec![4, 33], "/var/www".into()));
        assert_eq!(found("web:ssl"), (101, 33, vec![], "/var/www".into()));
        assert_eq!(found("1234"), (1234, 0, vec![], "/".into()));
        assert_eq!(found("1234:5"), (1234, 5, vec![], "/".into()));
        assert_eq!(found("7"), (70, 71, vec![], "/seven".into()));
        let error = user(&root, "nobody").unwrap_err().to_string();
        assert_eq!(error, "no user `nobody` in /etc/passwd of the image");
        assert!(user(&root, "web:none").is_err());
    }

    #[test]
    fn owner_of_a_copy() {
        let (_dir, root) = image();
        for (text, expected) in [
            ("1000", (1000, 1000)),
            ("101", (101, 101)),
            ("1000:5", (1000, 5)),
            ("web", (101, 102)),
            ("web:ssl", (101, 33)),
            ("5:ssl", (5, 33)),
        ] {
            assert_eq!(owner(&root, text).unwrap(), expected, "{text}");
        }
        for (text, expected) in [("", (0, 0)), (":5", (0, 5)), ("1000", (1000, 1000)), ("web", (101, 102))] {
            assert_eq!(owner_of_workdir(&root, text).unwrap(), expected, "{text}");
        }
        assert!(owner(&root, ":5").is_err());
        assert!(owner(&root, "nobody:0").is_err());
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("etc/passwd")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert!(user(&root, "web").is_err());
        assert_eq!(owner(&root, "1:2").unwrap(), (1, 2));
    }
}
