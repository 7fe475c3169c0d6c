/* A libnvidia-ml.so.1 whose GPUs stand in the text file named by SKALD_NVML_STUB, read anew at every call:
 *   gpu UUID TOTAL RESERVED USED ENC_CAPACITY ENC_UTIL DEC_UTIL ENC_SESSIONS ERROR NAME...
 *   proc PID BYTES
 * A proc belongs to the gpu above it; -1 is "not supported" (capacity, utilisation) or "not available" (bytes);
 * ERROR is the nvmlReturn_t that every call about that GPU gives, 0 for none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GPUS 16
#define PROCS 64
enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SMALL = 7, NO_DRIVER = 9 };

typedef unsigned long long u64;
typedef struct { unsigned pid; u64 memory; unsigned gi, ci; } process_t;
typedef struct { unsigned version; u64 total, reserved, free, used; } memory_v2_t;
typedef struct { u64 total, free, used; } memory_t;
typedef struct {
  char uuid[96], name[96];
  long long total, reserved, used, enc_capacity, enc, dec, sessions;
  int error;
  unsigned processes;
  process_t process[PROCS];
} gpu_t;

static int load(gpu_t *gpus) {
  const char *path = getenv("SKALD_NVML_STUB");
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[512];
  int count = 0;
  if (!file) return -1;
  while (fgets(line, sizeof line, file)) {
    gpu_t gpu = {0};
    long long pid, memory;
    if (count < GPUS && sscanf(line, "gpu %95s %lld %lld %lld %lld %lld %lld %lld %d %95[^\n]", gpu.uuid, &gpu.total,
                               &gpu.reserved, &gpu.used, &gpu.enc_capacity, &gpu.enc, &gpu.dec, &gpu.sessions,
                               &gpu.error, gpu.name) == 10) {
      gpus[count++] = gpu;
    } else if (count && sscanf(line, "proc %lld %lld", &pid, &memory) == 2) {
      gpu_t *last = &gpus[count - 1];
      if (last->processes < PROCS)
        last->process[last->processes++] = (process_t){(unsigned)pid, (u64)memory, ~0u, ~0u};
    }
  }
  fclose(file);
  return count;
}

/* A handle is a GPU's number in the file, plus one. */
static int find(void *handle, gpu_t *gpu) {
  gpu_t gpus[GPUS];
  size_t index = (size_t)handle - 1;
  int count = load(gpus);
  if (count < 0) return NO_DRIVER;
  if (index >= (size_t)count) return INVALID;
  *gpu = gpus[index];
  return gpu->error;
}

static int copy(char *to, unsigned size, const char *from) {
  if (strlen(from) + 1 > size) return SMALL;
  strcpy(to, from);
  return OK;
}

static int number(int error, long long value, unsigned *to) {
  if (error) return error;
  if (value < 0) return NOT_SUPPORTED;
  *to = (unsigned)value;
  return OK;
}

int nvmlInitWithFlags(unsigned flags) {
  gpu_t gpus[GPUS];
  (void)flags;
  return load(gpus) < 0 ? NO_DRIVER : OK;
}
int nvmlShutdown(void) { return OK; }

const char *nvmlErrorString(int error) {
  return error == 15 ? "GPU is lost" : error == NO_DRIVER ? "Driver Not Loaded" : "stub error";
}

int nvmlSystemGetDriverVersion(char *version, unsigned size) { return copy(version, size, "000.00.stub"); }

int nvmlDeviceGetCount_v2(unsigned *count) {
  gpu_t gpus[GPUS];
  int found = load(gpus);
  if (found < 0) return NO_DRIVER;
  *count = (unsigned)found;
  return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
  gpu_t gpu;
  *handle = (void *)(size_t)(index + 1);
  return find(*handle, &gpu);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
  gpu_t gpus[GPUS];
  int count = load(gpus);
  for (int index = 0; index < count; index++)
    if (!strcmp(gpus[index].uuid, uuid)) {
      *handle = (void *)(size_t)(index + 1);
      return gpus[index].error;
    }
  return NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  return error ? error : copy(uuid, size, gpu.uuid);
}

int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  return error ? error : copy(name, size, gpu.name);
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2_t *memory) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  if (error) return error;
  memory->total = (u64)gpu.total;
  memory->reserved = (u64)gpu.reserved;
  memory->used = (u64)gpu.used;
  memory->free = (u64)(gpu.total - gpu.reserved - gpu.used);
  return OK;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  if (error) return error;
  memory->total = (u64)gpu.total;
  memory->used = (u64)(gpu.reserved + gpu.used);
  memory->free = memory->total - memory->used;
  return OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *processes) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  unsigned room = *count;
  if (error) return error;
  *count = gpu.processes;
  if (gpu.processes > room) return SMALL;
  memcpy(processes, gpu.process, gpu.processes * sizeof *processes);
  return OK;
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, process_t *processes) {
  gpu_t gpu;
  (void)processes;
  *count = 0;
  return find(handle, &gpu);
}

int nvmlDeviceGetEncoderCapacity(void *handle, int codec, unsigned *capacity) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  (void)codec;
  return number(error, gpu.enc_capacity, capacity);
}

int nvmlDeviceGetEncoderUtilization(void *handle, unsigned *percent, unsigned *period) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  *period = 167000;
  return number(error, gpu.enc, percent);
}

int nvmlDeviceGetDecoderUtilization(void *handle, unsigned *percent, unsigned *period) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  *period = 167000;
  return number(error, gpu.dec, percent);
}

int nvmlDeviceGetEncoderStats(void *handle, unsigned *sessions, unsigned *fps, unsigned *latency) {
  gpu_t gpu;
  int error = find(handle, &gpu);
  *fps = *latency = 0;
  return number(error, gpu.sessions, sessions);
}
