#include "data/formats/pickle_calls.h"

#include <stdio.h>
#include <string.h>

// Functions and classes that PyTorch, NumPy and Python call to rebuild plain values. The results are inert here: whatever
// they made is not called (mcf_pickle_check_call), and no tensor is taken from it but by data/formats/pth.c.
static const char *const allowed[] = {
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.range",
    "builtins.set",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "builtins.xrange",
    "_codecs.encode",
    "argparse.Namespace",
    "collections.ChainMap",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.UserDict",
    "collections.UserList",
    "collections.defaultdict",
    "collections.deque",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "functools.partial",
    "inspect.Parameter",
    "inspect.Signature",
    "inspect._ParameterKind",
    "io.BytesIO",
    "_io.BytesIO",
    "io.StringIO",
    "_io.StringIO",
    "ipaddress.IPv4Address",
    "logging.Formatter",
    "logging.Logger",
    "logging.getLogger",
    "operator.attrgetter",
    "operator.itemgetter",
    "operator.methodcaller",
    "_operator.attrgetter",
    "_operator.itemgetter",
    "_operator.methodcaller",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.PurePosixPath",
    "pathlib._local.PureWindowsPath",
    "pathlib._local.WindowsPath",
    "random.Random",
    "re._compile",
    "signal.Signals",
    "timm.layers.format.Format",
    "timm.models.layers.format.Format",
    "types.MappingProxyType",
    "types.SimpleNamespace",
    "uuid.UUID",
    "zoneinfo.ZoneInfo._unpickle",
    "numpy.bool_",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.float16",
    "numpy.float32",
    "numpy.float64",
    "numpy.int32",
    "numpy.int64",
    "numpy.ma.core._mareconstruct",
    "numpy.ndarray",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
    "numpy.uint8",
    "torch.Generator",
    "torch.Size",
    "torch.Tensor",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_qtensor",
    "torch._utils._rebuild_sparse_csr_tensor",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_wrapper_subclass",
    "torch._utils._rebuild_xla_tensor",
    "torch.device",
    "torch.nn.parameter.Buffer",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.UninitializedParameter",
    "torch.serialization._get_layout",
    "torch.torch_version.TorchVersion",
};

// Python's own modules (sys.stdlib_module_names, and those that are gone).
static const char python[] =
    "Queue StringIO UserDict UserList __builtin__ __future__ _abc _aix_support _android_support "
    "_apple_support _ast _asyncio _bisect _blake2 _bootsubprocess _bz2 _codecs _codecs_cn _codecs_hk "
    "_codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _collections_abc _colorize "
    "_compat_pickle _compression _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm "
    "_decimal _elementtree _frozen_importlib _frozen_importlib_external _functools _gdbm _hashlib _heapq "
    "_imp _interpchannels _interpreters _io _ios_support _json _locale _lsprof _lzma _markupbase _md5 "
    "_msi _multibytecodec _multiprocessing _opcode _opcode_metadata _operator _osx_support _overlapped "
    "_pickle _posixshmem _posixsubprocess _py_abc _pydecimal _pyio _pyrepl _queue _random _scproxy _sha1 "
    "_sha256 _sha3 _sha512 _signal _sitebuiltins _socket _sqlite3 _sre _ssl _stat _statistics _string "
    "_strptime _struct _suggestions _symtable _sysconfig _thread _threading_local _tkinter _tokenize "
    "_tracemalloc _typing _uuid _warnings _weakref _weakrefset _winapi _zoneinfo abc aifc annotationlib "
    "antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect "
    "builtins bz2 cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop "
    "collections colorsys commands compileall compression concurrent configparser contextlib contextvars "
    "copy copy_reg copyreg crypt csv ctypes curses dataclasses datetime dbm decimal difflib dis distutils "
    "doctest email encodings ensurepip enum errno exceptions faulthandler fcntl filecmp fileinput fnmatch "
    "fractions ftplib functools gc genericpath getopt getpass gettext glob graphlib grp gzip hashlib "
    "heapq hmac html http httplib idlelib imaplib imghdr imp importlib inspect io ipaddress itertools "
    "json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math mimetypes mmap "
    "modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers opcode "
    "operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib "
    "poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat "
    "queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors "
    "shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile "
    "sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys "
    "sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap this threading time timeit "
    "tkinter token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing "
    "unicodedata unittest urllib urllib2 uu uuid venv warnings wave weakref webbrowser winreg winsound "
    "wsgiref xdrlib xml xmlrpc zipapp zipfile zipimport zlib zoneinfo ";

static bool is_word(const char *words, const char *name, size_t length)
{
    for (const char *at = words; *at; at += strcspn(at, " ") + 1)
        if (strcspn(at, " ") == length && !memcmp(at, name, length))
            return true;
    return false;
}

static bool is_global(const mcf_pickle_node *node, const char *prefix)
{
    const size_t length = strlen(prefix);
    return mcf_pickle_is(node, MCF_PICKLE_GLOBAL) && node->length > length && !memcmp(node->text, prefix, length);
}

// The name of a global, Python 2's modules as they are called now.
static void name_of(const mcf_pickle_node *global, char *name, size_t size)
{
    static const char *const old[][2] = {{"__builtin__.", "builtins."}, {"copy_reg.", "copyreg."}};
    const char *text = global->text, *front = "";
    size_t length = global->length;
    for (size_t i = 0; i < sizeof old / sizeof *old; i++)
        if (is_global(global, old[i][0])) {
            text += strlen(old[i][0]);
            length -= strlen(old[i][0]);
            front = old[i][1];
        }
    snprintf(name, size, "%s%.*s", front, (int)(length < size ? length : size), text);
}

static bool in_list(const char *name)
{
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (!strcmp(name, allowed[i]))
            return true;
    return false;
}

static bool may_call(const mcf_pickle_node *callable, bool makes_only);

// Calls that are as harmless as what they are given.
static bool may_call_with(const char *name, const mcf_pickle_node *arguments)
{
    const mcf_pickle_node *const *of = (const mcf_pickle_node *const *)arguments->items;
    const size_t count = arguments->count;
    char base[64] = "";
    if (count > 1 && mcf_pickle_is(of[1], MCF_PICKLE_GLOBAL))
        name_of(of[1], base, sizeof base);
    // An attribute of a value: a scheduler's bound method. It is never called.
    if (!strcmp(name, "builtins.getattr"))
        return count >= 2 && mcf_pickle_is(of[1], MCF_PICKLE_STRING);
    // typing.Optional[int]
    if (!strcmp(name, "operator.getitem") || !strcmp(name, "_operator.getitem"))
        return count == 2 && is_global(of[0], "typing.");
    // Makes an object of a class as a plain container or nothing.
    if (!strcmp(name, "copyreg._reconstructor"))
        return count == 3 && !strncmp(base, "builtins.", 9) && in_list(base) && may_call(of[0], true);
    if (!strcmp(name, "copyreg.__newobj__") || !strcmp(name, "copyreg.__newobj_ex__"))
        return count >= 1 && may_call(of[0], true);
    // Calls its first argument: a rebuilder of a subclass of tensors.
    if (!strcmp(name, "torch._tensor._rebuild_from_type_v2") || !strcmp(name, "torch._tensor._rebuild_from_type") ||
        !strcmp(name, "torch.tensor._rebuild_from_type"))
        return count >= 1 && is_global(of[0], "torch._utils._rebuild_") && may_call(of[0], false);
    return false;
}

static bool may_call(const mcf_pickle_node *callable, bool makes_only)
{
    char name[1200];
    if (!mcf_pickle_is(callable, MCF_PICKLE_GLOBAL))
        return false;
    name_of(callable, name, sizeof name);
    return in_list(name) || (makes_only && !is_word(python, name, strcspn(name, ".")));
}

mcf_status mcf_pickle_check_call(const mcf_pickle_node *callable, const mcf_pickle_node *arguments, bool makes_only,
                                 mcf_error *err)
{
    size_t length;
    const char *maker = mcf_pickle_callable(callable, &length);
    if (maker) // partial(f)(x) and its like: no checkpoint needs it
        return mcf_fail(err, MCF_ERR_FORMAT,
                        "the file calls what %.*s made when it is opened: refused, nothing was run; do not open it "
                        "elsewhere",
                        (int)(length < 200 ? length : 200), maker);
    if (!mcf_pickle_is(callable, MCF_PICKLE_GLOBAL))
        return mcf_fail(err, MCF_ERR_FORMAT, "the file calls what is no function: refused, nothing was run");
    char name[1200];
    name_of(callable, name, sizeof name);
    if (may_call(callable, makes_only) || may_call_with(name, arguments))
        return MCF_OK;
    return mcf_fail(
        err, MCF_ERR_FORMAT,
        "the file calls %.*s when it is opened: refused, nothing was run; do not open it elsewhere. No tensor "
        "needs that call; if you know it to be harmless, save the tensors alone where the file was made",
        (int)(callable->length < 200 ? callable->length : 200), callable->text);
}
