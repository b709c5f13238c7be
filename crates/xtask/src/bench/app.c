/* The application that the bench supervises: static, tiny, and it tells the moment of its first instruction.
 *
 * A moment is CLOCK_MONOTONIC in nanoseconds, one line of decimal text, written in one piece to the FIFO or file that is named.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long moment(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void tell(const char *path, const char *format, long long a, long long b) {
    char line[80];
    int length = snprintf(line, sizeof line, format, a, b);
    int file = open(path, O_WRONLY | O_APPEND);
    if (file < 0 || write(file, line, length) != length) _exit(111);
    close(file);
}

static long long microseconds(struct timeval time) { return time.tv_sec * 1000000LL + time.tv_usec; }

/* Runs a program and tells its processor time, user and system, its reaped children's included, in microseconds. */
static int measure(char **argv) {
    signal(SIGTERM, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) return 111;
    tell(argv[0], "%lld %lld\n", microseconds(usage.ru_utime), microseconds(usage.ru_stime));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Runs a program and tells how long that took, in nanoseconds, and how much memory it had at most, in KiB. This process is so small that what
   its own memory adds to the child's until the exec does not count (getrusage(2)). */
static int weigh(char **argv) {
    long long started = moment();
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child) return 111;
    tell(argv[0], "%lld %lld\n", moment() - started, usage.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Runs a program as PID 1 of its own namespace, and tells the moment of its exec. */
static int contain(char **argv) {
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) return 111;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
        if (mount("proc", "/proc", "proc", 0, NULL) != 0) _exit(111);
        tell(argv[0], "%lld\n", moment(), 0);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* Leaves so many orphans behind, which all end at the same moment, and tells that moment. */
static int orphans(const char *path, int count) {
    int gate[2];
    if (pipe(gate) != 0) return 111;
    pid_t parent = fork();
    if (parent == 0) {
        close(gate[1]);
        for (int i = 0; i < count; i++) {
            pid_t child = fork();
            if (child < 0) _exit(111);
            if (child == 0) {
                char byte;
                _exit(read(gate[0], &byte, 1) != 0);
            }
        }
        _exit(0);
    }
    int status;
    waitpid(parent, &status, 0);
    tell(path, "%lld\n", moment(), 0);
    close(gate[1]);
    return status;
}

/* Starts a program and waits for it: what no supervisor can do for less. */
static int spawn_once(char **argv) {
    pid_t child = vfork();
    if (child == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    return waitpid(child, NULL, 0) != child;
}

/* A TCP connection that is closed again; with a request, after the answer has ended. */
static int probe_once(int port, const char *request) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[4096];
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) return 111;
    if (*request && write(connection, request, strlen(request)) < 0) return 111;
    while (*request && read(connection, answer, sizeof answer) > 0) continue;
    return close(connection);
}

/* Starts a program or probes a port so many times, with so many milliseconds between: the floor of periodic checks. */
static int periodically(int times, int pause_ms, char **argv) {
    struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000L};
    for (; times > 0; times--) {
        int port = atoi(argv[0]);
        if ((port > 0 ? probe_once(port, argv[1]) : spawn_once(argv)) != 0) return 111;
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    return 0;
}

/* One byte more in the file says that a health check has run. */
static int count(const char *path) {
    int file = open(path, O_WRONLY | O_APPEND);
    return file < 0 || write(file, "x", 1) != 1;
}

/* Without a handler, the first process of a namespace would not notice SIGTERM (pid_namespaces(7)). */
static void leave(int signal) {
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv) {
    long long started = moment();
    if (argc < 3) return 2;
    if (argc > 3 && strcmp(argv[1], "measure") == 0) return measure(argv + 2);
    if (argc > 3 && strcmp(argv[1], "weigh") == 0) return weigh(argv + 2);
    if (argc > 3 && strcmp(argv[1], "contain") == 0) return contain(argv + 2);
    if (strcmp(argv[1], "end") == 0) return 0;
    if (argc > 5 && strcmp(argv[1], "periodically") == 0) return periodically(atoi(argv[2]), atoi(argv[3]), argv + 4);
    if (strcmp(argv[1], "count") == 0) return count(argv[2]);
    signal(SIGTERM, leave);
    if (argc > 3 && strcmp(argv[1], "orphans") == 0 && orphans(argv[2], atoi(argv[3])) != 0) return 111;
    if (strcmp(argv[1], "tell") == 0 || strcmp(argv[1], "serve") == 0) tell(argv[2], "%lld\n", started, 0);
    if (strcmp(argv[1], "tell") == 0) return 0;
    pause();
    return 0;
}
