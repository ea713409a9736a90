// What NVRTC gives a kernel, for the host's C++ compiler: put before a kernel's source. A kernel reaches the
// double through `host`; the double runs its threads one after another, from barrier to barrier, and its
// groups one after another, so that a group's shared memory is a static array.
typedef __SIZE_TYPE__ size_t;

struct Dim3 {
  unsigned x, y, z;
};
struct Host {
  void (*barrier)(void);
  float (*half_to_float)(unsigned short);
  unsigned short (*half_from_float)(float);
};
extern "C" {
Dim3 threadIdx, blockIdx, blockDim, gridDim;
Host host;
extern char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));
char *shared_bounds[2] = {__start_shared_memory, __stop_shared_memory};
}

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__      static __attribute__((section("shared_memory")))
#define __constant__    static const
#define __launch_bounds__(n)
#define __syncthreads() host.barrier()
#define __umulhi(a, b)  ((unsigned)(((unsigned long long)(a) * (b)) >> 32))
#define __popc(x)       __builtin_popcount(x)
#define __fmul_rn(a, b) ((float)((a) * (b)))

static inline float __uint_as_float(unsigned bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
static inline unsigned __float_as_uint(float value) {
  unsigned bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

#define FLOAT1(name)                                                                                         \
  static inline float name(float x) {                                                                        \
    return __builtin_##name##f(x);                                                                           \
  }
#define FLOAT2(name)                                                                                         \
  static inline float name(float x, float y) {                                                               \
    return __builtin_##name##f(x, y);                                                                        \
  }
FLOAT1(exp)
FLOAT1(log)
FLOAT1(sqrt)
FLOAT1(fabs)
FLOAT1(sin)
FLOAT1(cos) FLOAT1(floor) FLOAT2(fmin) FLOAT2(fmax) FLOAT2(pow) static inline float rsqrt(float x) {
  return (float)(1.0 / __builtin_sqrt((double)x));
}
static inline float fma(float x, float y, float z) {
  return __builtin_fmaf(x, y, z);
}

template <class T> static inline T min(T a, T b) {
  return b < a ? b : a;
}
template <class T> static inline T max(T a, T b) {
  return a < b ? b : a;
}

// A kernel called with cuLaunchKernel's array of pointers to its arguments, and what it says of them.
template <class T> struct IsPointer {
  enum { value = 0 };
};
template <class T> struct IsPointer<T *> {
  enum { value = 1 };
};
template <class T> struct IsPointer<T *__restrict__> {
  enum { value = 1 };
};
template <int... I> struct Indices {};
template <int N, int... I> struct Count : Count<N - 1, N - 1, I...> {};
template <int... I> struct Count<0, I...> { typedef Indices<I...> Type; };
template <class... A, int... I> void call(void (*kernel)(A...), void **values, Indices<I...>) {
  kernel(*(A *)values[I]...);
}
template <class... A> void call(void (*kernel)(A...), void **values) {
  call(kernel, values, typename Count<sizeof...(A)>::Type());
}
/// The size of parameter `index`, negative for a pointer; 0 behind the last.
template <class... A> int parameter(void (*)(A...), unsigned index) {
  static const int sizes[] = {(IsPointer<A>::value ? -1 : 1) * (int)sizeof(A)..., 0};
  return index < sizeof...(A) ? sizes[index] : 0;
}
#define CALLABLE(name)                                                                                       \
  extern "C" void run_##name(void **values) {                                                                \
    call(name, values);                                                                                      \
  }                                                                                                          \
  extern "C" int parameter_##name(unsigned index) {                                                          \
    return parameter(name, index);                                                                           \
  }
