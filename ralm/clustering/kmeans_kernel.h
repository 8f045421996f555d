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

// |c|^2 - 2 x.c of two vectors of lanes to `count` centres from number `first` on, the nearest kept.
TARGET static inline __attribute__((always_inline)) void NAME(compare)(int64_t h, const float *x0, const float *x1,
                                                                       const float *c, const float *square, int first,
                                                                       int count, V best[2], I label[2]) {
  V p0[CENTRES] = {}, p1[CENTRES] = {};
  for (int64_t d = 0; d < h; d++) {
    V a = AT(x0, d * LANES), b = AT(x1, d * LANES);
    for (int j = 0; j < count; j++) {
      p0[j] += a * c[j * h + d];
      p1[j] += b * c[j * h + d];
    }
  }
  for (int j = 0; j < count; j++) {
    I me = (I){} + (first + j);
    V away[2] = {square[j] - 2.f * p0[j], square[j] - 2.f * p1[j]};
    for (int half = 0; half < 2; half++) {
      I closer = away[half] < best[half];
      best[half] = (V)((closer & (I)away[half]) | (~closer & (I)best[half]));
      label[half] = (closer & me) | (~closer & label[half]);
    }
  }
}

// The nearest of k centres of each of n vectors, and how far it is: |c|^2 - 2 x.c, which is |x|^2 too low.
TARGET static void NAME(nearest)(int64_t n, int64_t h, int64_t k, const float *t, const float *centre,
                                 const float *square, float *distance, int32_t *label) {
  for (int64_t i = 0; i < n; i += 2 * WIDTH) {
    int64_t next = i + WIDTH < n ? i + WIDTH : i;
    const float *x0 = t + i / LANES * LANES * h + i % LANES, *x1 = t + next / LANES * LANES * h + next % LANES;
    V best[2] = {(V){} + INFINITY, (V){} + INFINITY};
    I found[2] = {};
    int64_t j = 0;
    for (; j + CENTRES <= k; j += CENTRES)
      NAME(compare)(h, x0, x1, centre + j * h, square + j, (int)j, CENTRES, best, found);
    for (; j + CENTRES / 2 <= k; j += CENTRES / 2)
      NAME(compare)(h, x0, x1, centre + j * h, square + j, (int)j, CENTRES / 2, best, found);
    for (; j < k; j++) NAME(compare)(h, x0, x1, centre + j * h, square + j, (int)j, 1, best, found);
    AT(distance, i) = best[0];
    AT(distance, next) = next > i ? best[1] : best[0];
    *(I *)(label + i) = found[0];
    *(I *)(label + next) = next > i ? found[1] : found[0];
  }
}

// Add each vector to the sum of its cluster.
TARGET static void NAME(add)(int64_t n, int64_t h, const float *x, const int32_t *label, double *sum) {
  for (int64_t i = 0; i < n; i++, x += h) {
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
