/*
 * A Vulkan driver that hands everything to the one that REAL_DRIVER names, until there is a file LOSE_DEVICE: from then
 * on whatever is submitted has lost the device. cc -shared -fPIC -o driver.so losingDriver.c -ldl
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void (*function)(void);
typedef function (*lookup)(void *, const char *);

static lookup of_device;
static int (*submit)(void *, unsigned, const void *, void *);

static void *real(const char *name) {
  static void *driver;
  if (!driver) driver = dlopen(getenv("REAL_DRIVER"), RTLD_NOW);
  return dlsym(driver, name);
}

static int losing_submit(void *queue, unsigned count, const void *submits, void *fence) {
  const int device_lost = -4;
  return access(getenv("LOSE_DEVICE"), F_OK) == 0 ? device_lost : submit(queue, count, submits, fence);
}

static function wrapped(const char *name, function found);

static function device_function(void *device, const char *name) { return wrapped(name, of_device(device, name)); }

static function wrapped(const char *name, function found) {
  if (found && !strcmp(name, "vkQueueSubmit")) {
    submit = (int (*)(void *, unsigned, const void *, void *))found;
    return (function)losing_submit;
  }
  if (found && !strcmp(name, "vkGetDeviceProcAddr")) {
    of_device = (lookup)found;
    return (function)device_function;
  }
  return found;
}

/* The interface between Vulkan's loader and a driver. */

function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  return wrapped(name, ((lookup)real("vk_icdGetInstanceProcAddr"))(instance, name));
}

function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
  lookup found = (lookup)real("vk_icdGetPhysicalDeviceProcAddr");
  return found ? found(instance, name) : NULL;
}

int vk_icdNegotiateLoaderICDInterfaceVersion(unsigned *version) {
  return ((int (*)(unsigned *))real("vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
