"""Runs ONNX graphs for a Node.js parent (pythonEngine.ts) on the onnxruntime of this interpreter, any wheel of it.
Frames on stdin and stdout: uint32 length of a JSON header, the header, header["bytes"] bytes of payload. Requests are
answered in order, with {"error", "type"} or what the method returns that "op" names. State lives in memories on the
device; a binding ties inputs and outputs of a graph to places in them, once."""
import ctypes, glob, json, os, signal, struct, sys
from ctypes import byref, c_size_t, c_uint64

# A terminal or a batch system signals all processes at once: what that means, the parent decides.
for name in {"SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"} & set(dir(signal)):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG: a parent that is killed takes this along
requests, answers = os.fdopen(0, "rb", buffering=0), os.fdopen(os.dup(1), "wb", buffering=0)
os.dup2(2, 1)  # nothing prints into a frame

class Host:
    """Memories of this process: bytes, aligned to 64. A payload is received where it belongs."""
    device, index = "cpu", 0
    free = write = lambda self, *_: None
    address = lambda self, memory: memory.ctypes.data
    read = inbox = lambda self, memory, start, size: memoryview(memory)[start : start + size]
    def allocate(self, size):
        spare = np.zeros(size + 64, np.uint8)
        start = -spare.ctypes.data % 64
        return spare[start : start + size]

class Cuda:
    """Memories of a device. Asks NVIDIA's driver: without one, loading the CUDA provider would end the process."""
    device = "cuda"
    address = lambda self, memory: memory.value
    free = lambda self, memory: self.call("cuMemFree_v2", memory)
    inbox = lambda self, memory, start, size: memoryview(bytearray(size))

    def __init__(self, index):
        self.index, device, context = index, ctypes.c_int(), ctypes.c_void_p()
        self.driver = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        self.call("cuInit", 0)
        self.call("cuDeviceGet", byref(device), index)
        self.call("cuDevicePrimaryCtxRetain", byref(context), device)
        self.call("cuCtxSetCurrent", context)

    def call(self, function, *arguments):
        code, name = getattr(self.driver, function)(*arguments), ctypes.c_char_p()
        if code != 0:
            self.driver.cuGetErrorName(code, byref(name))
            raise RuntimeError("CUDA failure %d: %s by %s" % (code, (name.value or b"").decode(), function))

    def allocate(self, size):
        memory = c_uint64()
        self.call("cuMemAlloc_v2", byref(memory), c_size_t(size or 1))
        self.write(memory, 0, bytearray(size))
        return memory

    def write(self, memory, start, payload):
        source = (ctypes.c_ubyte * len(payload)).from_buffer(payload)
        self.call("cuMemcpyHtoD_v2", c_uint64(memory.value + start), source, c_size_t(len(payload)))
        self.call("cuCtxSynchronize")  # streams of ONNX Runtime do not wait for the one of this

    def read(self, memory, start, size):
        payload = (ctypes.c_ubyte * size)()
        self.call("cuMemcpyDtoH_v2", payload, c_uint64(memory.value + start), c_size_t(size))
        return memoryview(payload).cast("B")

def load_cuda():
    """The libraries of the nvidia-* wheels, then the provider's own, whose error names the one that is missing."""
    files = ["capi/libonnxruntime_providers_%s.so" % part for part in ("shared", "cuda")]
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    else:  # onnxruntime-training 1.19.2: CUDA 11.8 and cuDNN 8, each after what it needs
        names = "cudart", "cublasLt", "cublas", "cudnn", "curand", "cufft"
        files = ["../nvidia/*/lib/lib%s.so.*" % name for name in names] + files
    for pattern in files:
        for file in glob.glob(os.path.join(os.path.dirname(ort.__file__), pattern)):
            ctypes.CDLL(file, mode=ctypes.RTLD_GLOBAL)

class Worker:
    def open(self, h, _):
        global np, ort
        import numpy as np, onnxruntime as ort
        ort.set_default_logger_severity(4)
        self.graphs, self.memories, self.bindings, self.options, self.place = {}, {}, {}, h, Host()
        self.providers, available = ["CPUExecutionProvider"], ort.get_available_providers()
        if h["provider"] == "cuda":
            if "CUDAExecutionProvider" not in available:
                raise NotImplementedError("no CUDA provider")
            self.place = Cuda(h["device"])
            load_cuda()
            self.providers.insert(0, ("CUDAExecutionProvider", h["providerOptions"]))
        return {"version": ort.__version__, "python": sys.version.split()[0], "providers": available}

    def load(self, h, model):
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = h["threads"], 4
        options.enable_mem_pattern, options.enable_cpu_mem_arena = False, self.options["arena"]
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if h["optimization"] == "disabled":
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if "trace" in h:
            options.enable_profiling, options.profile_file_prefix = True, h["trace"]
        graph = ort.InferenceSession(h.get("path") or bytes(model), options, providers=self.providers)
        if len(graph.get_providers()) < len(self.providers):
            raise ImportError("the CUDA provider was not made")
        self.graphs[h["graph"]] = graph
        described = lambda values: [[value.name, value.type, value.shape] for value in values]
        lists = graph.get_inputs(), graph.get_overridable_initializers(), graph.get_outputs()
        return dict(zip(("inputs", "defaults", "outputs"), map(described, lists)))

    def bind(self, h, _):
        graph = self.graphs[h["graph"]]
        binding = graph.io_binding()
        for side, name, memory, start, dtype, shape in h["places"]:
            address = self.place.address(self.memories[memory]) + start
            getattr(binding, side)(name, self.place.device, self.place.index, np.dtype(dtype).type, shape, address)
        self.bindings[h["binding"]] = graph, binding

    def run(self, h, _):
        for graph, binding in map(self.bindings.get, h["bindings"]):
            graph.run_with_iobinding(binding)

    def unload(self, h, _):
        self.graphs.pop(h["graph"])
        self.bindings = {key: bound for key, bound in self.bindings.items() if key not in h["bindings"]}
    end_trace = lambda self, h, _: {"path": self.graphs[h["graph"]].end_profiling()}
    allocate = lambda self, h, _: self.memories.update({h["memory"]: self.place.allocate(h["size"])})
    free = lambda self, h, _: self.place.free(self.memories.pop(h["memory"]))
    write = lambda self, h, payload: self.place.write(self.memories[h["memory"]], h["start"], payload)
    read = lambda self, h, _: {"data": self.place.read(self.memories[h["memory"]], h["start"], h["size"])}

def receive(view):
    rest = memoryview(view)
    while len(rest):
        rest = rest[requests.readinto(rest) or os._exit(0) :]  # the parent has closed the pipe, or ended
    return view

worker = Worker()
while True:
    h = json.loads(receive(bytearray(*struct.unpack("<I", receive(bytearray(4))))).decode())
    memory = worker.memories.get(h["memory"]) if h["op"] == "write" else None
    payload = receive(bytearray(h["bytes"]) if memory is None else worker.place.inbox(memory, h["start"], h["bytes"]))
    try:
        answer = getattr(worker, h["op"])(h, payload) or {}
    except Exception as error:
        answer = {"error": str(error), "type": type(error).__name__}
    data = answer.pop("data", b"")
    head = json.dumps(dict(answer, bytes=len(data))).encode()
    for part in struct.pack("<I", len(head)) + head, data:
        rest = memoryview(part)
        while len(rest):
            rest = rest[answers.write(rest) :]
