"""NVML by ctypes: what the checks read beside joulemark's own meter."""

import ctypes
from ctypes import byref, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void_p

NOT_SUPPORTED = 3
INSUFFICIENT_SIZE = 7
POWER_INSTANT = 186


class FieldValue(ctypes.Structure):
    """`nvmlFieldValue_t`; the widest member stands for the union."""

    _fields_ = [
        ("field_id", c_uint), ("scope_id", c_uint), ("timestamp", c_longlong), ("latency_usec", c_longlong),
        ("value_type", c_uint), ("nvml_return", c_uint), ("value", c_ulonglong),
    ]


class MemoryV2(ctypes.Structure):
    """`nvmlMemory_v2_t`."""

    _fields_ = [
        ("version", c_uint), ("total", c_ulonglong), ("reserved", c_ulonglong), ("free", c_ulonglong),
        ("used", c_ulonglong),
    ]


class ProcessInfo(ctypes.Structure):
    """`nvmlProcessInfo_v2_t`."""

    _fields_ = [
        ("pid", c_uint), ("used_bytes", c_ulonglong), ("gpu_instance", c_uint), ("compute_instance", c_uint),
    ]


class NvmlError(Exception):
    """What NVML answered instead of success."""

    def __init__(self, function, code):
        super().__init__(f"{function} answers {code}")
        self.code = code


class Nvml:
    """The library, initialised."""

    def __init__(self, path):
        self.library = ctypes.CDLL(path)
        self.call("nvmlInit_v2")
        version = ctypes.create_string_buffer(96)
        self.call("nvmlSystemGetDriverVersion", version, c_uint(96))
        self.driver = version.value.decode()
        count = c_uint()
        self.call("nvmlDeviceGetCount_v2", byref(count))
        self.gpus = [Gpu(self, index) for index in range(count.value)]

    @property
    def is_mock(self):
        return self.driver.endswith("-mock")

    def call(self, function, *arguments):
        code = getattr(self.library, function)(*arguments)
        if code != 0:
            raise NvmlError(function, code)


class Gpu:
    """One board."""

    def __init__(self, nvml, index):
        self.nvml = nvml
        self.index = index
        self.handle = c_void_p()
        nvml.call("nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(self.handle))
        text = ctypes.create_string_buffer(96)
        nvml.call("nvmlDeviceGetUUID", self.handle, text, c_uint(96))
        self.uuid = text.value.decode()
        nvml.call("nvmlDeviceGetName", self.handle, text, c_uint(96))
        self.name = text.value.decode()
        major, minor = c_int(), c_int()
        nvml.call("nvmlDeviceGetCudaComputeCapability", self.handle, byref(major), byref(minor))
        self.capability = (major.value, minor.value)
        self.field = (FieldValue * 1)()

    def energy_j(self):
        energy = c_ulonglong()
        self.nvml.call("nvmlDeviceGetTotalEnergyConsumption", self.handle, byref(energy))
        return energy.value / 1e3

    def instant_w(self):
        """Returns instant power; raises NvmlError where the board has none."""
        self.field[0].field_id, self.field[0].scope_id = POWER_INSTANT, 0
        self.nvml.call("nvmlDeviceGetFieldValues", self.handle, c_int(1), self.field)
        if self.field[0].nvml_return != 0:
            raise NvmlError("field 186", self.field[0].nvml_return)
        # Of an unsigned int, the union's first four bytes.
        return (self.field[0].value & 0xFFFF_FFFF) / 1e3

    def usage_w(self):
        power = c_uint()
        self.nvml.call("nvmlDeviceGetPowerUsage", self.handle, byref(power))
        return power.value / 1e3

    def power_limit_w(self):
        """Returns the power limit in force."""
        limit = c_uint()
        self.nvml.call("nvmlDeviceGetEnforcedPowerLimit", self.handle, byref(limit))
        return limit.value / 1e3

    def used_bytes(self):
        memory = MemoryV2(version=ctypes.sizeof(MemoryV2) | 2 << 24)
        self.nvml.call("nvmlDeviceGetMemoryInfo_v2", self.handle, byref(memory))
        return memory.used

    def pids(self):
        """Returns the processes that compute on the board."""
        count = c_uint(0)
        places = (ProcessInfo * 256)()
        count.value = len(places)
        self.nvml.call("nvmlDeviceGetComputeRunningProcesses_v3", self.handle, byref(count), places)
        return [places[index].pid for index in range(count.value)]
