// The loops that take the time, for vectors of WIDTH floats; kmeans.c includes this once for each width.
//
// NAME(x) is x of that width, TARGET the processor that it is for, CENTRES how many centres stay in registers at once.

typedef float NAME(V) __attribute__((vector_size(WIDTH * 4)));
typedef int32_t NAME(I) __attribute__((vector_size(WIDTH * 4)));
#define V NAME(V)
#define I NAME(I)
#define AT(array, i) (*(V *)((array) + (i)))

// Squared distances of all vectors to TRIALS others; exactly 0 for equal ones, as a difference of squares is not.
TARGET static void NAME(distances)(int64_t n, int64_t h, const float *t, float *const *to, const float *const *c) {
  for (int64_t i = 0; i < n; i += WIDTH) {
    const float *x = t + i / LANES * LANES * h + i % LANES;
    V s[TRIALS] = {};
    for (int64_t d = 0; d < h; d++) {
      V at = AT(x, d * LANES);
      for (int j = 0; j < TRIALS; j++) {
        V away = at - c[j][d];
        s[j] += away * away;
      }
    }
    for (int j = 0; j < TRIALS; j++) AT(to[j], i) = s[j];
  }
}

// |c|^2 - 2 x.c of two vectors of lanes to `count` centres, whose numbers `which` are.
TARGET static inline __attribute__((always_inline)) void NAME(compare)(int64_t h, const float *x0, const float *x1,
                                                                       const float *c, const float *square,
                                                                       const int32_t *which, int count, float *away0,
                                                                       float *away1) {
  V p0[CENTRES] = {}, p1[CENTRES] = {};
  const float *centre[CENTRES];
  for (int j = 0; j < count; j++) centre[j] = c + which[j] * h;
  for (int64_t d = 0; d < h; d++) {
    V a = AT(x0, d * LANES), b = AT(x1, d * LANES);
    for (int j = 0; j < count; j++) {
      p0[j] += a * centre[j][d];
      p1[j] += b * centre[j][d];
    }
  }
  for (int j = 0; j < count; j++) {
    AT(away0, which[j] * LANES) = square[which[j]] - 2.f * p0[j];
    AT(away1, which[j] * LANES) = square[which[j]] - 2.f * p1[j];
  }
}

// The nearest of k centres of each of n vectors, and how far it is: |c|^2 - 2 x.c, which is |x|^2 too low. `away` has
// that of all centres but those that moved, and of these too afterwards.
TARGET static void NAME(nearest)(int64_t n, int64_t h, int64_t k, const float *t, const float *centre,
                                 const float *square, const int32_t *which, int64_t moved, float *away,
                                 float *distance, int32_t *label) {
  for (int64_t i = 0; i < n; i += 2 * WIDTH) {
    int64_t at[2] = {i, i + WIDTH < n ? i + WIDTH : i};
    const float *x0 = t + at[0] / LANES * LANES * h + at[0] % LANES;
    const float *x1 = t + at[1] / LANES * LANES * h + at[1] % LANES;
    float *to[2];
    for (int half = 0; half < 2; half++) to[half] = away + at[half] / LANES * LANES * k + at[half] % LANES;
    int64_t j = 0;
    for (; j + CENTRES <= moved; j += CENTRES)
      NAME(compare)(h, x0, x1, centre, square, which + j, CENTRES, to[0], to[1]);
    for (; j + CENTRES / 2 <= moved; j += CENTRES / 2)
      NAME(compare)(h, x0, x1, centre, square, which + j, CENTRES / 2, to[0], to[1]);
    for (; j < moved; j++) NAME(compare)(h, x0, x1, centre, square, which + j, 1, to[0], to[1]);
    for (int half = 0; half < 2; half++) {
      V best = (V){} + INFINITY;
      I found = {};
      for (int32_t c = 0; c < k; c++) {
        V far = AT(to[half], c * LANES);
        I closer = far < best;
        best = (V)((closer & (I)far) | (~closer & (I)best));
        found = (closer & ((I){} + c)) | (~closer & found);
      }
      AT(distance, at[half]) = best;
      *(I *)(label + at[half]) = found;
    }
  }
}

// Add each vector of a cluster that changed to the sum of the cluster.
TARGET static void NAME(add)(int64_t n, int64_t h, const float *x, const int32_t *label, const char *changed,
                             double *sum) {
  for (int64_t i = 0; i < n; i++, x += h) {
    if (!changed[label[i]])
      continue;
    double *s = sum + label[i] * h;
    for (int64_t d = 0; d < h; d++) s[d] += x[d];
  }
}

#undef V
#undef I
#undef AT
#undef NAME
#undef TARGET
#undef WIDTH
#undef CENTRES
