//! Which parts of /proc, /sys and /dev of the machine a step sees, whatever keeps it apart: names only.

/// Names in /proc that tell of the machine, hidden as by BuildKit or buildah.
pub(crate) const HIDDEN_IN_PROC: [&str; 10] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Paths in /sys that are hidden.
pub(crate) const HIDDEN_IN_SYS: [&str; 3] = ["firmware", "devices/virtual/powercap", "fs/selinux"];

/// The character devices that every container has: names and numbers (admin-guide/devices.txt).
pub(crate) const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Links in /dev, and where they lead.
pub(crate) const DEVICE_LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];
