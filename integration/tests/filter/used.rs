//! What uses the lines of the filters.

/// Uses every part of the interface once.
pub const PROGRAM: &str = "def got(ip, port, text, handle):
  mycontext['datagram'] = text
def connected(ip, port, connection, this, listener):
  connection.send(connection.recv(5))
  connection.close()
def later():
  mycontext['later'] = 1
if callfunc == 'initialize':
  f = open('file', 'w')
  f.write('x' * 100000)
  f.flush()
  f.close()
  f = open('file')
  f.read(10)
  f.seek(5)
  f.readline()
  f.close()
  f = open('file', 'w')
  f.close()
  listdir()
  removefile('file')
  big = []
  i = 0
  while i < 40:
    big.append('y' * (i * 5000))
    i = i + 1
  text = ''.join(big)
  big = None
  text = text + text
  text = None
  i = 0
  while i < 3:
    x = 'z' * 4000000
    x = None
    i = i + 1
  randomfloat()
  settimer(0.05, later, ())
  sleep(0.2)
  lock = getlock()
  lock.acquire()
  lock.release()
  handle = recvmess('127.0.0.1', UDP, got)
  sendmess('127.0.0.1', UDP, 'hello', '127.0.0.1', UDP)
  sendmess('127.0.0.1', UDP, 'from any port')
  listener = waitforconn('127.0.0.1', TCP, connected)
  c = openconn('127.0.0.1', TCP)
  c.send('12345')
  print c.recv(5)
  c.close()
  try:
    gethostbyname_ex('localhost')
  except:
    pass
  try:
    gethostbyname_ex('a-name.invalid')
  except:
    pass
  try:
    getmyip()
  except:
    pass
  sleep(0.3)
  stopcomm(listener)
  stopcomm(handle)
  print mycontext
  i = 0
  while i < 3000:
    print 'a line of text that fills the pipe of the output'
    i = i + 1
";

/// Lines that the program above need not use on this machine, as they stand in their files, with
/// who needs them. What this project itself calls is not here: the program has to use it.
pub const RARE: &[(&str, &str, &str)] = &[
    ("interp", "arch_prctl when arg0 == ARCH_SET_FS", "architectures that set the thread pointer by a call"),
    ("interp", "readlink -> ENOENT", "the C library's start, on some versions of it"),
    ("interp", "readlinkat -> ENOENT", "the same on architectures without readlink"),
    (
        "interp",
        "openat when arg0 != VESSEL -> ENOENT",
        "std's look for /proc/self/maps when it guards the stack",
    ),
    ("interp", "clock_gettime", "hosts whose clock is not on the kernel's shared page"),
    ("interp", "epoll_pwait", "architectures without epoll_wait"),
    ("interp", "epoll_wait", "whichever of the two the C library uses"),
    ("interp", "poll", "whichever of poll and ppoll the C library uses"),
    ("interp", "ppoll", "whichever of poll and ppoll the C library uses"),
    ("interp", "fstat", "C libraries that do not use newfstatat"),
    ("interp", "newfstatat when arg3 & AT_EMPTY_PATH == AT_EMPTY_PATH", "C libraries that do not use fstat"),
    ("interp", "madvise", "the allocator gives memory back when much of it is free"),
    ("interp", "mremap", "large buffers that grow in place, as the allocator decides"),
    ("interp", "mprotect when arg2 & PROT_EXEC == 0", "relocations, as the linker laid them out"),
    ("interp", "read", "descriptors that are read like files; the one allowed call that needs none open"),
    ("interp", "clone3 -> ENOSYS", "a polite refusal: only a C library that starts a thread asks"),
    ("interp", "openat2 -> ENOSYS", "a polite refusal: only a C library that would use it asks"),
    ("interp", "munmap", "large buffers given back, as the allocator decides"),
    ("interp", "recvmsg when arg0 == CONTROL", "figures of the supervisor, which come when they come"),
    ("interp", "rseq", "C libraries from 2.35 on"),
    ("interp", "set_robust_list", "the C library's start, on some versions of it"),
    ("interp", "sigaltstack", "std's start"),
    ("broker", "epoll_pwait", "architectures without epoll_wait"),
    ("broker", "epoll_wait", "whichever of the two the C library uses"),
    ("broker", "poll", "whichever of poll and ppoll the C library uses"),
    ("broker", "ppoll", "whichever of poll and ppoll the C library uses"),
    ("broker", "clock_gettime", "hosts whose clock is not on the kernel's shared page"),
    (
        "broker",
        "getrandom",
        "numbers of questions to name servers: by a child that may end before the trace has it",
    ),
    ("broker", "restart_syscall", "a wait that was stopped and continued"),
    ("broker", "fcntl when arg1 == F_GETFD", "test builds"),
    ("broker", "rt_sigreturn", "a handler that returns"),
    ("broker", "brk", "a heap that grows, as the allocator decides"),
    ("broker", "mmap when arg2 & PROT_EXEC == 0", "large arrays, as the allocator decides"),
    ("broker", "munmap", "memory given back, as the allocator decides"),
    ("broker", "mremap", "arrays that grow, as the allocator decides"),
    ("broker", "madvise", "memory given back, as the allocator decides"),
    ("broker", "mprotect when arg2 & PROT_EXEC == 0", "a heap that grows in a test build"),
    ("broker", "clone3 -> ENOSYS", "a polite refusal: only a C library that starts a thread asks"),
];
