//! What a step with one id and without namespaces is answered otherwise than root in them, and why.
//!
//! Each entry is a fact about the program, not a wish: one that is true no more must go, or the comparison fails.

/// Calls that are answered otherwise for one reason.
pub(crate) struct Difference {
    /// The reason, as half a sentence.
    pub(crate) why: &'static str,
    /// What the lines of these calls contain.
    pub(crate) calls: &'static [&'static str],
}

const fn always(why: &'static str, calls: &'static [&'static str]) -> Difference {
    Difference { why, calls }
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    // Programs.
    always(
        "a program is executed from a descriptor of the supervisor's, which its auxiliary vector tells",
        &["> part: AT_EXECFN", "> part: the name of the thread"],
    ),
    always("a descriptor of a script is read before it closes", &["execute fexecve of a script that closes"]),
    always(
        "#! lines are read by the supervisor, without the kernel's oddities",
        &["script nothing", "script zero", "script long > part: argv"],
    ),
    always("a program whose loader cannot be had is no program", &["image no-loader", "image loader-is-"]),
    always(
        "capabilities of a file that are outside of the bounding set are passed over",
        &["capabilities not in the bounding set and effective"],
    ),
    // Owners.
    always(
        "the owner of a file without a name is forgotten",
        &["fstat(&file)", "statat(&file, \"\"", "fstat(&third)"],
    ),
    always(
        "a device is an empty file on disk, as reading its directory tells",
        &["entries with their types"],
    ),
    always(
        "special bits stay when their owner writes to the file",
        &["permissions as 1000:1000: lstat(\"of-me\")"],
    ),
    always("chown of nothing asks for the owner", &["chown(\"not-of-me\", None, None)"]),
    // Extended attributes.
    always("there are no access control lists", &["system.posix_acl_access"]),
    always("a name without a name is of no class", &["setxattr(\"user.\")", "value(\"user.\")"]),
    always(
        "security.capability is for regular files, and any five bytes will do",
        &["(\"dir\", NAME, ", "(\"link\", NAME, ", "(\"fifo\", NAME, ", "NAME, b\"short\""],
    ),
    always("who may set it is asked before what it is", &["attributes as 1000:1000: setxattr("]),
    always("writing to a file leaves it its capabilities", &["value(\"file\", NAME, 64)"]),
    // Descriptors and lookups.
    always("a descriptor that was opened with O_PATH is one like others", &["xattr(&by_path, "]),
    always(
        "openat2 takes flags that it does not know",
        &["O::from_bits_retain(1 << 30)", "O::PATH | O::RDWR, 0"],
    ),
    always("a file of O_TMPFILE and O_EXCL can get a name", &["linkat(TMPFILE|EXCL)"]),
    always("of two errors another one comes first", &["openat(&file, \"\", ", "remove_file(\"to-full/\")"]),
    always("a directory that is gone has its name yet in /proc", &["directories: read_link(/proc/self/cwd)"]),
    // Sockets.
    always(
        "the kernel binds a socket to its name from the root, and tells that name",
        &["bound(", "peer of ", "name of the listener", "recv_from("],
    ),
    always(
        "the name from the root may be too long",
        &[
            "bind(106 bytes)",
            "bind(107 bytes)",
            "connect(106",
            "connect(107",
            "lstat(106",
            "lstat(107",
            "sockets: listen",
        ],
    ),
    always("a socket is bound without regard to a slash at the end", &["sockets: lstat(\"x/\")"]),
    always("the kernel knows one id, and tells it of every peer", &["peer(&"]),
];
