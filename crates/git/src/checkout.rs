//! From a URL to files: find the commit, fetch it, write its tree, leave the wanted part.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::Git;
use crate::error::io_error;
use crate::reference::{self, Target};
use crate::remote::Remote;
use crate::{Error, FileTimes, GitUrl, Options, submodules, tree};

/// What has been checked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    /// All digits of the commit: 40 (SHA-1) or 64 (SHA-256), in lower case.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub commit_time: i64,
}

/// Which commit `url` names now, without fetching it: all digits of it.
///
/// That of an annotated tag is the commit it points to. `cancelled` is asked again and again. A URL that names its
/// commit whole is not asked for.
pub fn resolve(url: &GitUrl, options: &Options, cancelled: &dyn Fn() -> bool) -> Result<String, Error> {
    let (remote, dir) = (&url.remote, Path::new("/dev/null"));
    let git = Git { options, remote, first_host: &remote.host, cancelled, dir };
    let target = reference::find(&git, url)?;
    Ok(target.peeled.unwrap_or(target.object))
}

/// Writes the files that `url` names into `dest`, an empty directory that nobody else changes.
///
/// Files have mode 0644 or 0755, directories 0755; symbolic links are as they are, wherever they lead. `.git` stays
/// only if that is asked for and no part of the repository is. `cancelled` is asked again and again.
pub fn checkout(
    url: &GitUrl,
    options: &Options,
    dest: &Path,
    cancelled: &dyn Fn() -> bool,
) -> Result<Checkout, Error> {
    let place = Place { options, first_host: &url.remote.host, cancelled };
    let keeps_git_dir = url.keep_git_dir.unwrap_or(options.keep_git_dir) && url.subdir.is_none();
    let fetched = place.check_out(url, dest, keeps_git_dir, 0)?;
    let time = match (url.mtime, options.mtime) {
        (Some(FileTimes::Commit), _) | (_, None) => fetched.commit_time,
        (_, Some(given)) => given,
    };
    tree::settle(dest, time)?;
    Ok(fetched)
}

/// What a repository and its submodules share.
pub(crate) struct Place<'a> {
    pub(crate) options: &'a Options,
    pub(crate) first_host: &'a str,
    pub(crate) cancelled: &'a dyn Fn() -> bool,
}

impl Place<'_> {
    /// Checks out at `depth` submodules below the first repository.
    pub(crate) fn check_out(
        &self,
        url: &GitUrl,
        dest: &Path,
        keeps_git_dir: bool,
        depth: usize,
    ) -> Result<Checkout, Error> {
        let dir = dest.join(".git");
        let git = self.git(&url.remote, &dir);
        let target = reference::find(&git, url)?;
        let object_format = if target.object.len() == 64 { "sha256" } else { "sha1" };
        git.run("init", ["--quiet", "--template=", &format!("--object-format={object_format}")])?;
        fetch(&git, &target)?;
        let fetched = describe(&git, &target)?;
        git.run("read-tree", [&fetched.commit])?;
        let subdir = url.subdir.as_deref();
        check_directory(&git, &fetched.commit, subdir)?;
        // Inside of `.git`, no name of the repository's can be in the way.
        let files = dir.join("files");
        fs::create_dir(&files).map_err(io_error("create", &files))?;
        write_files(&git, &files)?;
        if url.submodules != Some(false) {
            submodules::check_out(self, &git, &fetched.commit, &files, subdir, depth)?;
        }
        tree::move_entries(&subdir.map_or(files.clone(), |subdir| files.join(subdir)), dest)?;
        if keeps_git_dir {
            keep(&git, &files, &fetched.commit)?;
        } else {
            fs::remove_dir_all(&dir).map_err(io_error("remove", &dir))?;
        }
        Ok(fetched)
    }

    fn git<'a>(&'a self, remote: &'a Remote, dir: &'a Path) -> Git<'a> {
        Git { options: self.options, remote, first_host: self.first_host, cancelled: self.cancelled, dir }
    }
}

/// Fetches as little as the server can give.
fn fetch(git: &Git<'_>, target: &Target) -> Result<(), Error> {
    let spec = match &target.name {
        Some(name) => format!("+{name}:{name}"),
        None => target.object.clone(),
    };
    let error = match fetch_specs(git, &["--depth=1"], &[&spec]) {
        Err(Error::Failed { message, command, remote }) => (message, command, remote),
        result => return result,
    };
    let (message, command, remote) = error;
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["shallow", "--depth"]) && fetch_specs(git, &[], &[&spec]).is_ok() {
        return Ok(());
    }
    if target.name.is_none()
        && says(&["not our ref", "unadvertised object", "shallow", "--depth", "allow request"])
    {
        return fetch_specs(git, &[], &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
    }
    Err(Error::Failed { command, remote, message })
}

fn fetch_specs(git: &Git<'_>, options: &[&str], specs: &[&str]) -> Result<(), Error> {
    let fixed =
        ["--quiet", "--no-tags", "--update-head-ok", "--no-recurse-submodules", "--no-write-fetch-head"];
    let place = ["--", git.remote.text.as_str()];
    git.run("fetch", fixed.iter().chain(options).chain(&place).chain(specs))?;
    Ok(())
}

/// The commit of what has been fetched, and its time.
fn describe(git: &Git<'_>, target: &Target) -> Result<Checkout, Error> {
    let name = target.name.as_deref().unwrap_or(&target.object);
    let args =
        ["-1", "--no-show-signature", "--format=%H %ct", "--end-of-options", &format!("{name}^{{commit}}")];
    let missing = || Error::NoSuchRef { remote: git.remote.text.clone(), reference: name.to_owned() };
    let output = match git.run("log", args) {
        Err(Error::Failed { .. }) => return Err(missing()),
        result => result?,
    };
    let text = String::from_utf8_lossy(&output);
    let (commit, seconds) = text.trim().split_once(' ').ok_or_else(missing)?;
    // A ref may have moved since it was asked for; what its digits promise must hold for what came.
    let promised = target.peeled.as_ref().unwrap_or(&target.object);
    if target.name.is_some() && target.peeled.is_none() && commit != promised && !is_tag(git, target)? {
        let (found, expected) = (commit.to_owned(), promised.clone());
        return Err(Error::ChecksumMismatch { remote: git.remote.text.clone(), found, expected });
    }
    Ok(Checkout { commit: commit.to_owned(), commit_time: seconds.parse().unwrap_or(0) })
}

fn is_tag(git: &Git<'_>, target: &Target) -> Result<bool, Error> {
    let output = git.run("cat-file", ["-t", &target.object])?;
    Ok(output.trim_ascii() == b"tag")
}

/// The objects say whether a path is one of directories: no link of the repository is ever followed.
fn check_directory(git: &Git<'_>, commit: &str, subdir: Option<&str>) -> Result<(), Error> {
    let Some(subdir) = subdir else { return Ok(()) };
    let missing = || Error::NoSuchDirectory { remote: git.remote.text.clone(), subdir: subdir.to_owned() };
    match git.run("cat-file", ["-t", &format!("{commit}:{subdir}")]) {
        Ok(kind) if kind.trim_ascii() == b"tree" => Ok(()),
        Ok(_) | Err(Error::Failed { .. }) => Err(missing()),
        Err(error) => Err(error),
    }
}

fn write_files(git: &Git<'_>, files: &Path) -> Result<(), Error> {
    let mut prefix = OsString::from("--prefix=");
    prefix.push(files);
    prefix.push("/");
    git.run("checkout-index", ["--all".into(), "--quiet".into(), prefix])?;
    Ok(())
}

/// Leaves a `.git` as a checkout of the commit has it.
fn keep(git: &Git<'_>, files: &PathBuf, commit: &str) -> Result<(), Error> {
    fs::remove_dir_all(files).map_err(io_error("remove", files))?;
    git.run("update-ref", ["--no-deref", "HEAD", commit])?;
    git.run("config", ["--local", "remote.origin.url", &git.remote.text])?;
    Ok(())
}
