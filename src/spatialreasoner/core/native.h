/* What every library of the package tells of itself, for `native.py`; each source includes it once. */

/* Of which source this was built, to tell an old library. */
const char *native_source(void) { return NATIVE_SOURCE; }

/* Whether the processor can run it. */
int native_suits(void) {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#elif defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
