/* A small libnvidia-ml.so.1 for tests: GPUs without a GPU, faults by environment variable.
 *
 *   NVML_STUB_GPUS=2                       how many GPUs
 *   NVML_STUB_INIT=18                      what nvmlInit returns
 *   NVML_STUB_INIT_HANG=1                  nvmlInit never returns
 *   NVML_STUB_HANDLE=0:4,1:15              return code of the handle lookup, by GPU
 *   NVML_STUB_FAIL=1:15:20                 GPU 1 answers every call with 15 after its 20th call
 *   NVML_STUB_HANG_AFTER=30                the 31st call on any GPU never returns
 *   NVML_STUB_HANG_FILE=/path              calls on a GPU never return while the file exists
 *   NVML_STUB_NOT_SUPPORTED=nvmlA,nvmlB    these return NOT_SUPPORTED
 *   NVML_STUB_MISSING=nvmlA                these return FUNCTION_NOT_FOUND, as a driver too old
 *   NVML_STUB_DENIED=nvmlA                 these return NO_PERMISSION
 *   NVML_STUB_PROCESSES=0/1234:512         GPU/pid:MiB, separated by commas; MiB -1 = not available
 *   NVML_STUB_NAME=text                    the model name
 *   NVML_STUB_DRIVER=575.57.08             driver version
 *   NVML_STUB_XID=79:100                   XID 79 on GPU 0, 100 ms after the first wait
 *   NVML_STUB_ECC, _REASONS, _RECOVERY     numbers
 *   NVML_STUB_REMAP=pending|failure
 *   NVML_STUB_MIG=1                        MIG on, two instances, no utilisation
 *   NVML_STUB_IDLE=1                       utilisation 0
 *   NVML_STUB_LOG=/path                    every call that reaches a GPU, one "gpu name" a line
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10,
       NO_FUNCTION = 13 };
enum { MOST = 64, INSTANCES = 2 };

typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { int index, instance; } device; /* instance -1: the whole GPU */

static device gpus[MOST], slices[MOST][INSTANCES];
static u64 calls_on[MOST], calls_in_all;

static const u64 MIB = 1024 * 1024;

static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text && *text ? atoi(text) : otherwise;
}

static void pause_forever(void)
{
    for (;;) sleep(60);
}

/* Is `word` one of the comma-separated words of the variable? */
static int listed(const char *variable, const char *word)
{
    const char *text = getenv(variable);
    size_t length = strlen(word);
    while (text && *text) {
        if (!strncmp(text, word, length) && (text[length] == ',' || !text[length])) return 1;
        text = strchr(text, ',');
        if (text) text++;
    }
    return 0;
}

/* Every call on a GPU passes here. */
static int enter(const device *gpu, const char *call)
{
    const char *text;
    int which, code;
    u64 after;

    if (!gpu) return INVALID;
    if ((text = getenv("NVML_STUB_LOG")) && *text) {
        FILE *log = fopen(text, "a");
        if (log) {
            fprintf(log, "%d %s\n", gpu->index, call);
            fclose(log);
        }
    }
    calls_on[gpu->index]++;
    calls_in_all++;
    if ((after = number("NVML_STUB_HANG_AFTER", 0)) && calls_in_all > after) pause_forever();
    if ((text = getenv("NVML_STUB_HANG_FILE")) && *text && !access(text, F_OK)) pause_forever();
    if ((text = getenv("NVML_STUB_FAIL")) && sscanf(text, "%d:%d:%llu", &which, &code, &after) == 3
        && which == gpu->index && calls_on[which] > after) return code;
    if (listed("NVML_STUB_NOT_SUPPORTED", call)) return NOT_SUPPORTED;
    if (listed("NVML_STUB_MISSING", call)) return NO_FUNCTION;
    if (listed("NVML_STUB_DENIED", call)) return NO_PERMISSION;
    return OK;
}

#define ENTER(gpu) do { int code_ = enter(gpu, __func__); if (code_) return code_; } while (0)
#define WHOLE(gpu) do { if ((gpu)->instance >= 0) return NOT_SUPPORTED; } while (0)

/* --- system --- */

int nvmlInitWithFlags(u32 flags)
{
    (void)flags;
    if (number("NVML_STUB_INIT_HANG", 0)) pause_forever();
    for (int i = 0; i < MOST; i++) {
        gpus[i] = (device){i, -1};
        for (int j = 0; j < INSTANCES; j++) slices[i][j] = (device){i, j};
    }
    return number("NVML_STUB_INIT", OK);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) { static char text[32]; snprintf(text, sizeof text, "stub error %d", code); return text; }

int nvmlSystemGetDriverVersion(char *out, u32 length)
{
    const char *version = getenv("NVML_STUB_DRIVER");
    snprintf(out, length, "%s", version ? version : "575.57.08");
    return OK;
}
int nvmlSystemGetNVMLVersion(char *out, u32 length) { snprintf(out, length, "12.575.57.08"); return OK; }

int nvmlDeviceGetCount_v2(u32 *count) { *count = (u32)number("NVML_STUB_GPUS", 1); return OK; }

static int handle_code(int index)
{
    const char *text = getenv("NVML_STUB_HANDLE");
    int which, code;
    while (text && sscanf(text, "%d:%d", &which, &code) == 2) {
        if (which == index) return code;
        text = strchr(text, ',');
        if (text) text++;
    }
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(u32 index, device **out)
{
    if (index >= (u32)number("NVML_STUB_GPUS", 1)) return INVALID;
    int code = enter(&gpus[index], __func__);
    if (!code) code = handle_code((int)index);
    *out = &gpus[index];
    return code;
}

/* GPU i sits at 0000:0<i+1>:00.0. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, device **out)
{
    u32 domain, bus;
    if (sscanf(bus_id, "%x:%x", &domain, &bus) != 2 || !bus || bus > (u32)number("NVML_STUB_GPUS", 1))
        return NOT_FOUND;
    return nvmlDeviceGetHandleByIndex_v2(bus - 1, out);
}

/* --- identity --- */

int nvmlDeviceGetUUID(device *gpu, char *out, u32 length)
{
    ENTER(gpu);
    if (gpu->instance < 0) snprintf(out, length, "GPU-%08d-57ab", gpu->index);
    else snprintf(out, length, "MIG-%08d-%d", gpu->index, gpu->instance);
    return OK;
}

int nvmlDeviceGetName(device *gpu, char *out, u32 length)
{
    ENTER(gpu);
    const char *name = getenv("NVML_STUB_NAME");
    if (gpu->instance >= 0) snprintf(out, length, "Stub GPU MIG 3g.40gb");
    else snprintf(out, length, "%s", name ? name : "Stub GPU 80GB");
    return OK;
}

typedef struct {
    char legacy[16];
    u32 domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
} pci_info;

int nvmlDeviceGetPciInfo_v3(device *gpu, pci_info *out)
{
    ENTER(gpu);
    memset(out, 0, sizeof *out);
    out->bus = (u32)gpu->index + 1;
    snprintf(out->bus_id, sizeof out->bus_id, "00000000:%02X:00.0", out->bus);
    return OK;
}

/* --- fast tier --- */

typedef struct { u64 total, free, used; } memory_v1;
typedef struct { u32 version; u64 total, reserved, free, used; } memory_v2;

static const u64 TOTAL = 81920, RESERVED = 600, USED = 8192; /* MiB */

int nvmlDeviceGetMemoryInfo(device *gpu, memory_v1 *out)
{
    ENTER(gpu);
    u64 share = gpu->instance < 0 ? 1 : INSTANCES;
    *out = (memory_v1){TOTAL * MIB / share, (TOTAL - USED - RESERVED) * MIB / share, (USED + RESERVED) * MIB / share};
    return OK;
}

int nvmlDeviceGetMemoryInfo_v2(device *gpu, memory_v2 *out)
{
    ENTER(gpu);
    out->total = TOTAL * MIB;
    out->reserved = RESERVED * MIB;
    out->used = USED * MIB;
    out->free = (TOTAL - USED - RESERVED) * MIB;
    return OK;
}

int nvmlDeviceGetUtilizationRates(device *gpu, u32 *rates)
{
    ENTER(gpu);
    if (number("NVML_STUB_MIG", 0)) return NOT_SUPPORTED;
    rates[0] = number("NVML_STUB_IDLE", 0) ? 0 : 97;
    rates[1] = number("NVML_STUB_IDLE", 0) ? 0 : 7;
    return OK;
}

#define NUMBER(name, value) int name(device *gpu, u32 *out) { ENTER(gpu); WHOLE(gpu); *out = (u32)(value); return OK; }
NUMBER(nvmlDeviceGetPowerUsage, 295500)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, 700000)
NUMBER(nvmlDeviceGetFanSpeed, 41)
NUMBER(nvmlDeviceGetPerformanceState, 0)

int nvmlDeviceGetTemperature(device *gpu, int sensor, u32 *out) { (void)sensor; ENTER(gpu); *out = 61; return OK; }

/* --- medium tier --- */

int nvmlDeviceGetClockInfo(device *gpu, int kind, u32 *out) { ENTER(gpu); *out = kind == 1 ? 1755 : 2619; return OK; }
int nvmlDeviceGetMaxClockInfo(device *gpu, int kind, u32 *out) { ENTER(gpu); *out = kind == 1 ? 1980 : 2619; return OK; }

static int reasons(u64 *out) { *out = (u64)number("NVML_STUB_REASONS", 0); return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(device *gpu, u64 *out) { ENTER(gpu); return reasons(out); }
int nvmlDeviceGetCurrentClocksThrottleReasons(device *gpu, u64 *out) { ENTER(gpu); return reasons(out); }

typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } process;

static int processes(const device *gpu, u32 *count, process *out)
{
    const char *text = getenv("NVML_STUB_PROCESSES");
    int which;
    u32 pid, found = 0;
    long long mib;
    while (text && sscanf(text, "%d/%u:%lld", &which, &pid, &mib) == 3) {
        if (which == gpu->index) {
            if (out && found < *count)
                out[found] = (process){pid, mib < 0 ? ~0ULL : (u64)mib * MIB, ~0U, ~0U};
            found++;
        }
        text = strchr(text, ',');
        if (text) text++;
    }
    int fits = found <= *count;
    *count = found;
    return fits ? OK : TOO_SMALL;
}
int nvmlDeviceGetComputeRunningProcesses_v3(device *gpu, u32 *count, process *out) { ENTER(gpu); return processes(gpu, count, out); }
int nvmlDeviceGetComputeRunningProcesses_v2(device *gpu, u32 *count, process *out) { ENTER(gpu); return processes(gpu, count, out); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(device *gpu, u32 *count, process *out) { (void)out; ENTER(gpu); *count = 0; return OK; }
int nvmlDeviceGetGraphicsRunningProcesses_v2(device *gpu, u32 *count, process *out) { (void)out; ENTER(gpu); *count = 0; return OK; }

typedef struct { u32 pid; u64 at; u32 sm, memory, encoder, decoder; } process_sample;

int nvmlDeviceGetProcessUtilization(device *gpu, process_sample *out, u32 *count, u64 since)
{
    process found[MOST];
    u32 room = MOST;
    ENTER(gpu);
    if (number("NVML_STUB_MIG", 0)) return NOT_SUPPORTED;
    processes(gpu, &room, found);
    if (!room) return NOT_FOUND;
    if (!out || *count < room) {
        *count = room;
        return TOO_SMALL;
    }
    for (u32 i = 0; i < room; i++) out[i] = (process_sample){found[i].pid, since + 1000, 40, 5, 0, 0};
    *count = room;
    return OK;
}

/* --- slow tier --- */

int nvmlDeviceGetTotalEccErrors(device *gpu, int kind, int counter, u64 *out)
{
    (void)kind, (void)counter;
    ENTER(gpu);
    *out = (u64)number("NVML_STUB_ECC", 0);
    return OK;
}

int nvmlDeviceGetRemappedRows(device *gpu, u32 *correctable, u32 *uncorrectable, u32 *pending, u32 *failure)
{
    const char *state = getenv("NVML_STUB_REMAP");
    ENTER(gpu);
    *correctable = *uncorrectable = 0;
    *pending = state && !strcmp(state, "pending");
    *failure = state && !strcmp(state, "failure");
    return OK;
}

typedef struct { u32 id, scope; int64_t at, latency; int type, code; union { double d; u32 u; u64 q; } value; } field;

int nvmlDeviceGetFieldValues(device *gpu, int count, field *fields)
{
    ENTER(gpu);
    for (int i = 0; i < count; i++) {
        fields[i].type = 1;
        fields[i].code = OK;
        if (fields[i].id == 82) fields[i].value.u = 68;
        else if (fields[i].id == 230) fields[i].value.u = (u32)number("NVML_STUB_RECOVERY", 0);
        else fields[i].code = NOT_SUPPORTED;
    }
    return OK;
}

int nvmlDeviceGetMigMode(device *gpu, u32 *now, u32 *next) { ENTER(gpu); *now = *next = (u32)number("NVML_STUB_MIG", 0); return OK; }
int nvmlDeviceGetMaxMigDeviceCount(device *gpu, u32 *count) { ENTER(gpu); *count = 7; return OK; }

int nvmlDeviceGetMigDeviceHandleByIndex(device *gpu, u32 index, device **out)
{
    ENTER(gpu);
    if (index >= INSTANCES) return NOT_FOUND;
    *out = &slices[gpu->index][index];
    return OK;
}

/* --- events --- */

typedef struct { device *gpu; u64 type, data; u32 gpu_instance, compute_instance; } event;

int nvmlEventSetCreate(void **out) { static int set; *out = &set; return OK; }
int nvmlEventSetFree(void *set) { (void)set; return OK; }
int nvmlDeviceRegisterEvents(device *gpu, u64 types, void *set) { (void)types, (void)set; ENTER(gpu); return OK; }

int nvmlEventSetWait_v2(void *set, event *out, u32 timeout_ms)
{
    static int told;
    const char *text = getenv("NVML_STUB_XID");
    int code;
    u32 after_ms;
    (void)set;
    if (!told && text && sscanf(text, "%d:%u", &code, &after_ms) == 2) {
        usleep(after_ms * 1000);
        told = 1;
        *out = (event){&gpus[0], 0x8, (u64)code, ~0U, ~0U};
        return OK;
    }
    usleep(timeout_ms * 1000);
    return TIMEOUT;
}
