/* A step that means harm. It tries what its arguments say, prints a line for each thing that succeeds and should not
 * have, and `over` at the end. With `with-...` it prepares what there is to reach, and starts the builder. It is
 * static, so that it runs in an empty image, and in C, as its system calls are raw. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <linux/fs.h>
#include <linux/keyctl.h>
#include <unistd.h>

/* Tells of a call that did not fail. */
#define TRY(what, call) ((call) == -1 ? 0 : (printf("reached: %s\n", what), 1))
#define NUMBER(text) strtol(text, NULL, 10)

/* Nobody is harmed by it who does not wait for it. */
#define SIGNAL SIGURG

static char room[1 << 16];

/* Text that is good until the next but seven. */
__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...) {
    static char texts[8][4096];
    static int next;
    char *to = texts[next++ % 8];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(to, sizeof texts[0], format, arguments);
    va_end(arguments);
    return to;
}

static void die(const char *what) {
    perror(what);
    _exit(127);
}

static int can_read(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    ssize_t length = fd < 0 ? -1 : read(fd, room, sizeof room);
    close(fd);
    return length > 0 ? 0 : -1;
}

/* Every call by which one process reaches another, and its files in /proc. */
static void reach(pid_t pid) {
    char number[16];
    snprintf(number, sizeof number, "%d", pid);
    struct iovec own = {room, 8}, its = {(void *)0x400000, 8};
    struct { uint64_t flags, mask; } set = {0};
    int signal = SIGNAL;
    long calls[][7] = {
        {SYS_kill, pid, signal}, {SYS_kill, pid > 1 ? -pid : pid, signal}, {SYS_tkill, pid, signal},
        {SYS_tgkill, pid, pid, signal}, {SYS_rt_sigqueueinfo, pid, signal, (long)room},
        {SYS_rt_tgsigqueueinfo, pid, pid, signal, (long)room},
        {SYS_ptrace, PTRACE_ATTACH, pid}, {SYS_ptrace, PTRACE_SEIZE, pid},
        {SYS_process_vm_readv, pid, (long)&own, 1, (long)&its, 1},
        {SYS_process_vm_writev, pid, (long)&own, 1, (long)&its, 1},
        {SYS_kcmp, getpid(), pid, 0, 0, 0}, {SYS_get_robust_list, pid, (long)room, (long)room},
        {SYS_prlimit64, pid, 7, 0, (long)room}, {SYS_setpriority, 0, pid, 19}, {SYS_ioprio_set, 1, pid, 3 << 13},
        {SYS_sched_setaffinity, pid, 8, (long)&set}, {SYS_sched_setscheduler, pid, 5, (long)&set},
        {SYS_migrate_pages, pid, 1, (long)&set, (long)&set}, {SYS_move_pages, pid, 0, 0, 0, 0},
    };
    for (size_t at = 0; at < sizeof calls / sizeof *calls; at++) {
        long *call = calls[at];
        char name[32];
        snprintf(name, sizeof name, "call %ld on process", call[0]);
        TRY(text("%s %s", name, number), syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]));
    }
    int directory = open(text("/proc/%s", number), O_RDONLY | O_DIRECTORY), handle = syscall(SYS_pidfd_open, pid, 0);
    TRY(text("signal by a handle of %s", number),
        handle < 0 ? -1 : syscall(SYS_pidfd_send_signal, handle, signal, NULL, 0));
    TRY(text("signal by the directory of %s", number),
        directory < 0 ? -1 : syscall(SYS_pidfd_send_signal, directory, signal, NULL, 0));
    static const char *const names[] = {"environ", "maps", "auxv", "mem", "exe", "fd/0", "fd/3", "root/etc/passwd",
                                        "cwd/etc/passwd", "task", "ns/mnt", "map_files", "pagemap", "io", "stack"};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++)
        TRY(text("/proc/%s/%s", number, names[at]), can_read(text("/proc/%s/%s", number, names[at])));
    TRY(text("memory of %s", number), open(text("/proc/%s/%s", number, "mem"), O_RDWR));
    TRY(text("oom score of %s", number), open(text("/proc/%s/%s", number, "oom_score_adj"), O_WRONLY));
}

/* A process that belongs to others altogether can not even be named. */
static void reach_outside(pid_t pid) {
    reach(pid);
    TRY(text("the group of %d", pid), setpgid(0, pid));
    TRY(text("owner of a file: %d", pid), fcntl(1, F_SETOWN, pid));
    TRY(text("a handle of %d", pid), syscall(SYS_pidfd_open, pid, 0));
}

/* What another user of the same step may not do to this process, which would not survive a signal. */
static void be_reached(void) {
    pid_t own = getpid(), child = fork();
    if (child) {
        waitpid(child, NULL, 0);
        return;
    }
    if (setgroups(0, NULL) || setgid(1000) || setuid(1000)) printf("wrong: still root: %m\n");
    signal(SIGTERM, SIG_IGN);
    if (kill(0, SIGTERM)) printf("wrong: no signal to the group: %m\n");
    setpgid(0, 0);
    reach(own);
    _exit(0);
}

/* The numbers in /proc of this process and of who started it, which may be others than it is told. */
static void number_in_proc(pid_t *own, pid_t *parent) {
    FILE *stat = fopen("/proc/self/stat", "r");
    if (!stat || fscanf(stat, "%d (%*[^)]) %*c %d", own, parent) != 2) printf("wrong: no number: %m\n");
}

/* Those by whom this one was started, and what else was started around that time. Process 1 of a namespace is the
 * step's, and immune. */
static void reach_builder(int is_in_namespace) {
    pid_t own = 0, parent = 0;
    number_in_proc(&own, &parent);
    for (pid_t pid = parent > 24 ? parent - 24 : 1; pid < parent + 8; pid++)
        if (pid != own && pid != getpid() && !(is_in_namespace && (pid == parent || pid == 1))) reach_outside(pid);
}

/* Who has a word in its environment. */
static void search_environments(const char *word) {
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));) {
        int fd = open(text("/proc/%s/%s", entry->d_name, "environ"), O_RDONLY);
        ssize_t length = fd < 0 ? 0 : read(fd, room, sizeof room);
        TRY(text("%s in the environment of %s", word, entry->d_name),
            length > 0 && memmem(room, length, word, strlen(word)) ? 0 : -1);
        close(fd);
    }
}

/* A file elsewhere, by every way that leads to a file. */
static void read_file(const char *path) {
    static const char *const ways[] = {
        "%s", "/proc/self/root%s", "/proc/1/root%s", "/proc/self/cwd/../../..%s", "/proc/thread-self/root/..%s",
        "../../../../../../../..%s", "/dev/fd/../../../..%s",
    };
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++)
        TRY(text(ways[at], path), can_read(text(ways[at], path)));
    symlink(path, "/tmp/link");
    TRY(text("a link to %s", path), can_read("/tmp/link"));
    unlink("/tmp/link");
    struct { uint64_t flags, mode, resolve; } how = {O_RDONLY, 0, 0};
    TRY(text("openat2 %s", path), syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
    TRY(text("a handle of %s", path), open(path, O_PATH));
    TRY(text("stat %s", path), stat(path, (struct stat *)room));
    TRY(text("exec %s", path), execl(path, path, NULL));
    TRY(text("watch %s", path), syscall(SYS_inotify_add_watch, syscall(SYS_inotify_init1, 0), path, 2));
}

static int connect_to(const char *name, socklen_t length, int binds) {
    struct sockaddr_un to = {AF_UNIX, {0}};
    memcpy(to.sun_path, name, length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + length;
    return binds ? bind(fd, (struct sockaddr *)&to, size) : connect(fd, (struct sockaddr *)&to, size);
}

static struct sockaddr_un exchanged = {AF_UNIX, "/tmp/own"};
static volatile int is_over;

static void *exchange(void *path) {
    while (!is_over) {
        strcpy(exchanged.sun_path, path);
        strcpy(exchanged.sun_path, "/tmp/own");
    }
    return NULL;
}

/* Connects to a socket of its own, by an address that another thread exchanges; whoever has the other one will know. */
static void race_to_connect(char *path) {
    pthread_t other;
    int own = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(own, (struct sockaddr *)&exchanged, sizeof exchanged) || listen(own, 8))
        printf("wrong: no socket: %m\n");
    pthread_create(&other, NULL, exchange, path);
    for (int round = 0; round < 2000; round++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        connect(fd, (struct sockaddr *)&exchanged, sizeof exchanged);
        close(fd);
        close(accept(own, NULL, NULL));
    }
    is_over = 1;
    pthread_join(other, NULL);
}

/* Changes something in a directory elsewhere, which has a file `f` and an empty directory `d`. */
static void write_in(const char *directory) {
    const char *new = strdup(text("%s/%s", directory, "new")), *file = strdup(text("%s/%s", directory, "f")),
               *empty = strdup(text("%s/%s", directory, "d"));
    TRY(new, open(new, O_CREAT | O_WRONLY, 0600));
    TRY(text("tmpfile in %s", directory), open(directory, O_TMPFILE | O_WRONLY, 0600));
    TRY(text("mkdir %s", new), mkdir(new, 0700));
    TRY(text("mkfifo %s", new), mkfifo(new, 0600));
    TRY(text("symlink %s", new), symlink("x", new));
    TRY(text("link %s", new), link("/attacker", new));
    TRY(text("rename to %s", new), rename("/tmp", new));
    TRY(text("rename from %s", file), rename(file, "/tmp/stolen"));
    TRY(text("link from %s", file), link(file, "/tmp/stolen"));
    TRY(text("bind %s", new), connect_to(new, strlen(new), 1));
    TRY(text("append to %s", file), open(file, O_WRONLY | O_APPEND));
    TRY(text("truncate %s", file), truncate(file, 0));
    TRY(text("chmod %s", file), chmod(file, 0777));
    TRY(text("chown %s", file), chown(file, 7, 7));
    TRY(text("utimes %s", file), utimensat(AT_FDCWD, file, NULL, 0));
    TRY(text("setxattr %s", file), setxattr(file, "user.x", "x", 1, 0));
    TRY(text("mount on %s", directory), mount("none", directory, "tmpfs", 0, NULL));
    TRY(text("unlink %s", file), unlink(file));
    TRY(text("rmdir %s", empty), rmdir(empty));
}

static void write_elsewhere(const char *directory) {
    static const char *const ways[] = {
        "%s", "/proc/self/root%s", "/proc/1/root%s", "../../../../../../../..%s", "/proc/self/cwd/..%s",
    };
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) write_in(strdup(text(ways[at], directory)));
    symlink(directory, "/tmp/link");
    write_in("/tmp/link");
    unlink("/tmp/link");
}

/* Uses names that another process exchanges with a link to a directory elsewhere all the while. */
static void race(const char *directory) {
    mkdir("/tmp/race", 0700);
    mkdir("/tmp/race/d", 0700);
    symlink(text("../../../../../../../../..%s", directory), "/tmp/race/l");
    pid_t child = fork();
    while (!child) syscall(SYS_renameat2, AT_FDCWD, "/tmp/race/d", AT_FDCWD, "/tmp/race/l", 2);
    for (int round = 0; round < 1000; round++) {
        close(open("/tmp/race/d/new", O_CREAT | O_WRONLY, 0600));
        close(open("/tmp/race/d/f", O_CREAT | O_TRUNC | O_WRONLY, 0600));
        rename("/tmp/race/d/f", "/tmp/race/d/g");
        chmod("/tmp/race/d/f", 0600);
        unlink("/tmp/race/d/f");
        rmdir("/tmp/race/d/d");
        TRY(text("a race to %s", directory), can_read("/tmp/race/l/../victim/f"));
    }
    kill(child, SIGKILL);
}

/* What a file that may only be read can be made to give by who has it open. */
static void write_through(const char *path) {
    int fd = open(path, O_RDONLY), handle = open(path, O_PATH), flags = FS_NODUMP_FL, number = 1;
    struct fsxattr attributes = {.fsx_projid = 7};
    for (int at = 0; at < 2; at++) {
        int of = at ? handle : fd;
        char digits[16];
        snprintf(digits, sizeof digits, "%d", of);
        for (int mode = O_WRONLY; mode <= O_RDWR; mode++) {
            TRY(text("reopened %s", path), open(text("/proc/self/fd/%s", digits), mode));
            TRY(text("reopened as a device %s", path), open(text("/dev/fd/%s", digits), mode));
            TRY(text("reopened by thread %s", path),
                open(text("/proc/thread-self/fd/%s", digits), mode | O_TRUNC));
            TRY(text("reopened in place %s", path), openat(of, "", mode));
        }
        TRY(text("ftruncate %s", path), ftruncate(of, 0));
        TRY(text("fallocate %s", path), fallocate(of, 0, 0, 1));
        TRY(text("fchmod %s", path), fchmod(of, 0777));
        TRY(text("fchmodat2 %s", path), syscall(452, of, "", 0777, AT_EMPTY_PATH));
        TRY(text("fchown %s", path), fchown(of, 7, 7));
        TRY(text("fchownat %s", path), fchownat(of, "", 7, 7, AT_EMPTY_PATH));
        TRY(text("futimens %s", path), futimens(of, NULL));
        TRY(text("utimensat %s", path), utimensat(AT_FDCWD, text("/proc/self/fd/%s", digits), NULL, 0));
        TRY(text("fsetxattr %s", path), fsetxattr(of, "user.x", "x", 1, 0));
        TRY(text("write %s", path), write(of, "x", 1));
        TRY(text("copy_file_range %s", path),
            copy_file_range(open("/attacker", O_RDONLY), NULL, of, NULL, 1, 0));
        TRY(text("flags of %s", path), ioctl(of, FS_IOC_SETFLAGS, &flags));
        TRY(text("attributes of %s", path), ioctl(of, FS_IOC_FSSETXATTR, &attributes));
        TRY(text("version of %s", path), ioctl(of, FS_IOC_SETVERSION, &number));
        TRY(text("clone to %s", path), ioctl(of, FICLONE, open("/attacker", O_RDONLY)));
        TRY(text("link of %s", path), linkat(of, "", AT_FDCWD, "/tmp/taken", AT_EMPTY_PATH));
        TRY(text("link by number of %s", path),
            linkat(AT_FDCWD, text("/proc/self/fd/%s", digits), AT_FDCWD, "/tmp/taken", AT_SYMLINK_FOLLOW));
    }
    void *mapped = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    TRY(text("mapped %s", path), mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
    if (mapped != MAP_FAILED) TRY(text("mprotect %s", path), mprotect(mapped, 1, PROT_WRITE));
    TRY(text("rename of %s", path), rename(path, "/tmp/taken"));
    TRY(text("link of the name %s", path), link(path, "/tmp/taken"));
    TRY(text("unlink %s", path), unlink(path));
    TRY(text("truncate %s", path), truncate(path, 0));
    TRY(text("chmod %s", path), chmod(path, 0777));
    TRY(text("chown %s", path), chown(path, 7, 7));
    TRY(text("setxattr %s", path),
        setxattr(path, "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0));
}

/* Calls that reach past what a step is shown, whoever makes them. */
static void reach_the_kernel(void) {
    struct { uint32_t bytes; int32_t kind; uint32_t inode, generation; } handle = {8, 1, 2, 0};
    long attributes[16] = {1};
    struct { const char *name; long call[6]; } tries[] = {
        {"open_by_handle_at", {SYS_open_by_handle_at, AT_FDCWD, (long)&handle, O_RDONLY}},
        {"fsopen", {SYS_fsopen, (long)"tmpfs", 0}}, {"fspick", {SYS_fspick, AT_FDCWD, (long)"/", 0}},
        {"open_tree", {SYS_open_tree, AT_FDCWD, (long)"/", 1}},
        {"move_mount", {SYS_move_mount, AT_FDCWD, (long)"/proc", AT_FDCWD, (long)"/tmp", 0}},
        {"mount_setattr", {SYS_mount_setattr, AT_FDCWD, (long)"/", 0, (long)attributes, 32}},
        {"mount", {SYS_mount, (long)"/proc", (long)"/tmp", 0, MS_BIND, 0}},
        {"umount", {SYS_umount2, (long)"/proc", 2}},
        {"pivot_root", {SYS_pivot_root, (long)"/", (long)"/tmp"}},
        {"setns", {SYS_setns, open("/proc/self/ns/mnt", O_RDONLY), 0}},
        {"fanotify_init", {SYS_fanotify_init, 0, 0}}, {"bpf", {SYS_bpf, 0, (long)attributes, 64}},
        {"userfaultfd", {SYS_userfaultfd, 0}}, {"init_module", {SYS_init_module, (long)room, 8, (long)""}},
        {"kexec_load", {SYS_kexec_load, 0, 0, 0, 0}}, {"iopl", {SYS_iopl, 3}}, {"ioperm", {SYS_ioperm, 0, 1, 1}},
        {"syslog", {SYS_syslog, 3, (long)room, sizeof room}}, {"acct", {SYS_acct, 0}},
        {"swapon", {SYS_swapon, (long)"/attacker", 0}}, {"settimeofday", {SYS_settimeofday, (long)attributes, 0}},
        {"sethostname", {SYS_sethostname, (long)"x", 1}}, {"vhangup", {SYS_vhangup}},
        {"reboot", {SYS_reboot, 0xfee1dead, 672274793, 0}},
    };
    for (size_t at = 0; at < sizeof tries / sizeof *tries; at++) {
        long *call = tries[at].call;
        TRY(tries[at].name, syscall(call[0], call[1], call[2], call[3], call[4], call[5]));
    }
    static const char *const files[] = {
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger", "/sys/kernel/mm/transparent_hugepage/enabled",
    };
    for (size_t at = 0; at < sizeof files / sizeof *files; at++) {
        TRY(text("write %s", files[at]), open(files[at], O_WRONLY));
        TRY(text("truncate %s", files[at]), truncate(files[at], 0));
        TRY(text("chmod %s", files[at]), chmod(files[at], 0666));
        TRY(text("chown %s", files[at]), chown(files[at], 7, 7));
    }
    TRY("kernel log", can_read("/proc/kmsg"));
    TRY("kernel memory", can_read("/proc/kcore"));
}

/* What the filter of a step without namespaces keeps from everybody. */
static void reach_past_the_filter(void) {
    TRY("io_uring_setup", syscall(SYS_io_uring_setup, 8, room));
    TRY("io_uring_enter", syscall(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0));
    TRY("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/", room, room, 0));
    TRY("perf_event_open", syscall(SYS_perf_event_open, room, 0, -1, -1, 0));
    TRY("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    TRY("TIOCSTI", ioctl(open("/dev/tty", O_RDWR), TIOCSTI, "x"));
    TRY("x32", syscall(0x40000000 | SYS_getpid));
    TRY("x32 open", syscall(0x40000000 | SYS_open, "/", O_RDONLY));
    TRY("a system call of tomorrow", syscall(600, 0));
}

static void call_as_32_bits(void) {
    int answer = 20;
    __asm__ volatile("int $0x80" : "+a"(answer) : : "memory", "r8", "r9", "r10", "r11");
    printf("reached: a call of 32 bits\n");
}

/* Terminals: whatever this process did not open itself. */
static void reach_terminals(void) {
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    DIR *terminals = opendir("/dev/pts");
    for (struct dirent *entry; terminals && (entry = readdir(terminals));)
        if (strspn(entry->d_name, "0123456789")) {
            TRY(text("the terminal %s", entry->d_name),
                open(text("/dev/pts/%s", entry->d_name), O_RDWR | O_NOCTTY | O_NONBLOCK));
            TRY(text("reading the terminal %s", entry->d_name),
                open(text("/dev/pts/%s", entry->d_name), O_RDONLY | O_NONBLOCK));
            TRY(text("mode of the terminal %s", entry->d_name),
                chmod(text("/dev/pts/%s", entry->d_name), 0666));
        }
    TRY("the controlling terminal", open("/dev/tty", O_RDWR));
    /* One of its own works, to the end. */
    int own = posix_openpt(O_RDWR | O_NOCTTY), number = 0, unlocked = 0;
    if (own < 0 || ioctl(own, TIOCSPTLCK, &unlocked) || ioctl(own, TIOCGPTN, &number))
        printf("wrong: no terminal: %m\n");
    snprintf(room, sizeof room, "/dev/pts/%d", number);
    int other = open(room, O_RDWR);
    if (other < 0 || write(own, "\3x\n", 3) != 3) printf("wrong: no other end of a terminal: %m\n");
}

/* The keys, shared memory and message queues of somebody else. */
static void reach_ipc(key_t key) {
    int memory = syscall(SYS_shmget, key, 0, 0), queue = syscall(SYS_msgget, key, 0),
        set = syscall(SYS_semget, key, 0, 0);
    TRY("shared memory", memory);
    TRY("a message queue", queue);
    TRY("semaphores", set);
    for (int number = 0; number < 1 << 8; number++) {
        /* How often a place was used, and which (ipc/util.h). */
        int id = (number >> 5) << 15 | (number & 31);
        TRY("shared memory by its id", syscall(SYS_shmat, id, 0, SHM_RDONLY));
        TRY("shared memory, told of", syscall(SYS_shmctl, id, IPC_STAT, room));
        TRY("a queue by its id", syscall(SYS_msgctl, id, IPC_STAT, room));
        TRY("semaphores by their id", syscall(SYS_semctl, id, 0, IPC_STAT, room));
    }
}

static void reach_key(void) {
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "of the builder", 0);
    if (TRY("the key", key)) TRY("what the key holds", syscall(SYS_keyctl, KEYCTL_READ, key, room, sizeof room));
    TRY("the user's keys", syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", "of the builder", 0));
    TRY("a key asked for", syscall(SYS_request_key, "user", "of the builder", NULL, 0));
}

/* Runs a program to its end, and ends as it did. */
static void become(char **argv) {
    pid_t child = fork();
    int status = 0;
    if (!child) {
        execv(argv[0], argv);
        die(argv[0]);
    }
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status)) exit(WEXITSTATUS(status));
}

/* A key in the session's keyring. */
static void with_key(char **argv) {
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    long key = syscall(SYS_add_key, "user", "of the builder", "secret", 6, KEY_SPEC_SESSION_KEYRING);
    if (key == -1 || syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f3f3f3f)) die("add_key");
    become(argv);
}

/* A terminal that controls the session, and is the standard input. */
static void with_terminal(char **argv) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) die("posix_openpt");
    if (fork()) {
        int status;
        wait(&status);
        exit(WEXITSTATUS(status));
    }
    setsid();
    int slave = open(ptsname(master), O_RDWR);
    dup2(slave, 0);
    close(slave);
    close(master);
    execv(argv[0], argv);
    die(argv[0]);
}

/* Shared memory, semaphores and a message queue, which must be there afterwards. */
static void with_ipc(key_t key, char **argv) {
    int memory = shmget(key, 4096, IPC_CREAT | 0600), set = semget(key, 1, IPC_CREAT | 0600),
        queue = msgget(key, IPC_CREAT | 0600);
    become(argv);
    if (shmctl(memory, IPC_RMID, NULL) || semctl(set, 0, IPC_RMID) || msgctl(queue, IPC_RMID, NULL)) die("gone");
}

/* What is still there when a step is over, by its unusual size. */
static void leave_ipc(size_t size) {
    int memory = shmget(4711, size, IPC_CREAT | IPC_EXCL | 0600), set = semget(4711, 7, IPC_CREAT | 0600),
        queue = msgget(4711, IPC_CREAT | 0600);
    char *at = shmat(memory, NULL, 0);
    struct { long kind; char text[4]; } message = {1, "abc"};
    if (at == (char *)-1 || shmget(4711, 0, 0) != memory) printf("wrong: no memory: %m\n");
    if (semctl(set, 0, SETVAL, 3) || semctl(set, 0, GETVAL) != 3) printf("wrong: no semaphores: %m\n");
    if (msgsnd(queue, &message, 4, 0) || msgrcv(queue, &message, 4, 0, 0) != 4) printf("wrong: no queue: %m\n");
    if (shmget(4711, size + 1, 0) != -1 || errno != EINVAL) printf("wrong: more memory than there is: %m\n");
    if (shmget(4711, 0, IPC_CREAT | IPC_EXCL) != -1 || errno != EEXIST) printf("wrong: made again: %m\n");
    if (shmget(4712, size, 0) != -1 || errno != ENOENT) printf("wrong: memory of nobody: %m\n");
}

/* Every descriptor but those of the standard streams. */
static void list_descriptors(void) {
    for (int fd = 3; fd < 4096; fd++) {
        char number[16];
        snprintf(number, sizeof number, "%d", fd);
        ssize_t length = readlink(text("/proc/self/fd/%s", number), room, sizeof room);
        if (length >= 0) printf("reached: descriptor %d is %.*s\n", fd, (int)length, room);
    }
}

static void ignore_all_signals(void) {
    for (int signal = 1; signal < 65; signal++) sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
}

/* A child of nobody that holds on to nothing and to which nobody can say anything. */
static void leave_daemon(const char *marker) {
    if (fork()) {
        wait(NULL);
        return;
    }
    setsid();
    if (fork()) _exit(0);
    ignore_all_signals();
    for (int fd = 0; fd < 1024; fd++) close(fd);
    prctl(PR_SET_PDEATHSIG, 0);
    execl("/attacker", "/attacker", "wait", marker, NULL);
    _exit(1);
}

/* Forks until nobody can any more. */
static int explode(void) {
    for (pid_t child; (child = fork()) != -1;)
        if (!child)
            for (;;) fork();
    return 9;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "builder")) reach_builder(argc > 2);
    for (int at = 2; at < argc && !strcmp(what, "processes"); at++) reach_outside(NUMBER(argv[at]));
    for (int at = 2; at < argc && !strcmp(what, "read"); at++) read_file(argv[at]);
    for (int at = 2; at < argc && !strcmp(what, "write"); at++) write_elsewhere(argv[at]);
    if (!strcmp(what, "race")) race(argv[2]);
    if (!strcmp(what, "race-to-connect")) race_to_connect(argv[2]);
    for (int at = 2; at < argc && !strcmp(what, "write-through"); at++) write_through(argv[at]);
    for (int at = 2; at < argc && !strcmp(what, "connect"); at++) {
        TRY(argv[at], connect_to(argv[at], strlen(argv[at]), 0));
        char name[108] = "";
        memcpy(name + 1, argv[at], strlen(argv[at]));
        TRY(text("abstract %s", argv[at]), connect_to(name, 1 + strlen(argv[at]), 0));
    }
    if (!strcmp(what, "be-reached")) be_reached();
    if (!strcmp(what, "environments")) search_environments(argv[2]);
    if (!strcmp(what, "kernel")) reach_the_kernel();
    if (!strcmp(what, "filter")) reach_past_the_filter();
    if (!strcmp(what, "32-bits")) call_as_32_bits();
    if (!strcmp(what, "terminals")) reach_terminals();
    if (!strcmp(what, "ipc")) reach_ipc(NUMBER(argv[2]));
    if (!strcmp(what, "key")) reach_key();
    if (!strcmp(what, "leave-ipc")) leave_ipc(NUMBER(argv[2]));
    if (!strcmp(what, "with-key")) return with_key(argv + 2), 0;
    if (!strcmp(what, "with-terminal")) return with_terminal(argv + 2), 0;
    if (!strcmp(what, "with-ipc")) return with_ipc(NUMBER(argv[2]), argv + 3), 0;
    if (!strcmp(what, "descriptors")) list_descriptors();
    if (!strcmp(what, "group")) {
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
    }
    if (!strcmp(what, "fork-bomb")) return explode();
    if (!strcmp(what, "daemons"))
        for (int count = 0; count < 20; count++) leave_daemon(argv[2]);
    if (!strcmp(what, "wait")) for (;;) pause();
    if (!strcmp(what, "stubborn")) {
        ignore_all_signals();
        printf("started\n");
        for (;;) pause();
    }
    if (!strcmp(what, "stopped")) {
        printf("started\n");
        kill(0, SIGSTOP);
    }
    if (!strcmp(what, "closed")) {
        for (int fd = 3; fd < 1024; fd++) dup2(0, fd);
        for (int fd = 0; fd < 1024; fd++) close(fd);
        return 7;
    }
    printf("over\n");
    return 0;
}
