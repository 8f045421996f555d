// k-means of many sets of vectors in one call that needs no interpreter: ralm/clustering/native.py loads it with ctypes.
//
// Lane = vector: LANES vectors of a set lie side by side, transposed ([blocks][h][LANES]), so that their distances to a
// centre are sums over h and none across lanes. Every sum is made in one order whatever the width of the registers, and
// the compiler may not contract a product and a sum (-ffp-contract=off): the same input gives the same bits on every
// processor. Which width is used is decided when a call begins.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 16
#define TRIALS 4       // candidates of each step of k-means++
#define STEPS 30       // most steps of Lloyd's algorithm
#define TOLERANCE 1e-4 // it ends once a step lowers the inertia by a smaller share
#define SEEDED 4096    // vectors that k-means++ looks at
#define PAIRED 128     // most vectors of a set whose distances to one another are kept, for its many starts

#define WIDTH 4
#define CENTRES 4
#define TARGET
#define NAME(x) x##_4
#include "kmeans_kernel.h"

#ifdef __x86_64__
#define WIDTH 8
#define CENTRES 4
#define TARGET __attribute__((target("avx2")))
#define NAME(x) x##_8
#include "kmeans_kernel.h"

#define WIDTH 16
#define CENTRES 8
#define TARGET __attribute__((target("avx512f")))
#define NAME(x) x##_16
#include "kmeans_kernel.h"
#endif

enum status { DONE = 0, NOT_FINITE = 1, NO_MEMORY = 2 };

typedef struct {
  void (*distances)(int64_t, int64_t, const float *, float *const *, const float *const *);
  void (*nearest)(int64_t, int64_t, int64_t, const float *, const float *, const float *, const int32_t *, int64_t,
                  float *, float *, int32_t *);
  void (*add)(int64_t, int64_t, const float *, const int32_t *, const char *, double *);
} Kernel;

typedef struct {
  uint64_t hash;
  int64_t row;
} Key;

// What the work on one set needs, sized for the largest set of a call. `padded` is n up to a multiple of LANES.
typedef struct {
  Kernel kernel;
  float *x;                                        // the vectors in order, [n][h]
  float *t;                                        // the same, [padded / LANES][h][LANES], zero behind the last
  float *square, *near, *distance, *trial[TRIALS]; // [padded]
  double *prefix;                                  // [padded]
  int32_t *label, *last;                           // [padded]
  float *away;                                     // distances to the centres, [padded / LANES][k][LANES]
  float *pair;                                     // distances to one another of at most PAIRED vectors, [n][padded]
  float *centre, *best;                            // [k][h]
  double *sum;                                     // [k][h]
  float *centre_square;                            // [k]
  int64_t *count, *best_count;                     // [k]
  int32_t *moved;                                  // the numbers of centres that moved, [k]
  char *changed;                                   // whether a cluster's members did, [k]
  Key *key;                                        // [n]
  uint64_t *factor;                                // [h]
} Work;

static int64_t padded(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

static uint64_t splitmix(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

static double uniform(uint64_t *state) { return (double)(splitmix(state) >> 11) * (1.0 / 9007199254740992.0); }

static int by_hash(const void *a, const void *b) {
  const Key *p = a, *q = b;
  if (p->hash != q->hash)
    return p->hash < q->hash ? -1 : 1;
  return p->row < q->row ? -1 : p->row > q->row;
}

// Copy the vectors in an order that their contents alone decide, each of length 1 if asked for. 0: one is not finite.
static int take(const float *from, int64_t n, int64_t h, int unit, Work *w) {
  for (int64_t i = 0; i < n; i++) {
    const float *row = from + i * h;
    uint64_t hash = 0;
    int odd = 0;
    for (int64_t d = 0; d < h; d++) {
      float value = row[d] + 0.f; // -0 and 0 are the same
      uint32_t bits;
      memcpy(&bits, &value, 4);
      odd |= (bits & 0x7f800000) == 0x7f800000;
      hash += w->factor[d] * bits;
    }
    if (odd)
      return 0;
    w->key[i] = (Key){hash, i};
  }
  qsort(w->key, n, sizeof(Key), by_hash);
  for (int64_t i = 0; i < n; i++) {
    const float *row = from + w->key[i].row * h;
    float *to = w->x + i * h;
    double length = 0, part[LANES] = {0};
    if (unit) {
      int64_t d = 0;
      for (; d + LANES <= h; d += LANES)
        for (int lane = 0; lane < LANES; lane++) part[lane] += (double)row[d + lane] * row[d + lane];
      for (; d < h; d++) length += (double)row[d] * row[d];
      for (int lane = 0; lane < LANES; lane++) length += part[lane];
    }
    double scale = length > 0 ? 1 / sqrt(length) : 1;
    for (int64_t d = 0; d < h; d++) to[d] = (float)(row[d] * scale) + 0.f;
  }
  return 1;
}

static void transpose(int64_t n, int64_t h, Work *w) {
  for (int64_t i = 0; i < padded(n); i += LANES) {
    float *to = w->t + i * h, square[LANES] = {0};
    for (int64_t lane = 0; lane < LANES; lane++) {
      const float *row = w->x + (i + lane) * h;
      for (int64_t d = 0; d < h; d++) to[d * LANES + lane] = i + lane < n ? row[d] : 0;
    }
    for (int64_t d = 0; d < h; d++)
      for (int lane = 0; lane < LANES; lane++) square[lane] += to[d * LANES + lane] * to[d * LANES + lane];
    memcpy(w->square + i, square, sizeof square);
  }
}

// The distances of at most PAIRED vectors to one another.
static void measure_pairs(int64_t n, int64_t h, Work *w) {
  int64_t lanes = padded(n);
  for (int64_t i = 0; i < n; i += TRIALS) {
    const float *from[TRIALS];
    float *to[TRIALS];
    for (int q = 0; q < TRIALS; q++) {
      from[q] = w->x + (i + q < n ? i + q : i) * h;
      to[q] = i + q < n ? w->pair + (i + q) * lanes : w->trial[q];
    }
    w->kernel.distances(lanes, h, w->t, to, from);
  }
}

// A vector, drawn by its share of the sum of `near`, whose sums up to each vector are in `prefix`.
static int64_t draw(int64_t m, double left, const Work *w) {
  int64_t low = 0, high = m - 1;
  while (low < high) { // the first whose sum is more than what is left
    int64_t middle = (low + high) / 2;
    if (w->prefix[middle] > left)
      high = middle;
    else
      low = middle + 1;
  }
  while (low > 0 && !(w->near[low] > 0)) low--; // one that is a centre already is not drawn, however it was rounded
  return low;
}

// Note the distances to centre number j where they are the least.
static void come_nearer(int64_t lanes, const float *distance, int32_t j, Work *w) {
  for (int64_t i = 0; i < lanes; i++) {
    int nearer = distance[i] < w->near[i];
    w->near[i] = nearer ? distance[i] : w->near[i];
    w->label[i] = nearer ? j : w->label[i];
  }
}

// k-means++ with TRIALS candidates a step, on the first vectors; `have` centres are there. Returns how many there are
// then: fewer than k where fewer vectors are distinct. `near` and `label` say the nearest of each vector it looked at.
static int64_t plus_plus(int64_t n, int64_t h, int64_t k, int64_t have, int paired, uint64_t *state, Work *w) {
  int64_t m = n < SEEDED ? n : SEEDED, lanes = padded(m);
  const float *tried[TRIALS], *distance[TRIALS];
  if (!have) {
    memcpy(w->centre, w->x + (int64_t)(uniform(state) * (double)m) * h, h * 4);
    have = 1;
  }
  for (int64_t i = 0; i < lanes; i++) w->near[i] = i < m ? INFINITY : 0; // padding is never drawn
  memset(w->label, 0, lanes * 4);
  for (int64_t j = 0; j < have; j += TRIALS) {
    for (int q = 0; q < TRIALS; q++) tried[q] = w->centre + (j + q < have ? j + q : j) * h;
    w->kernel.distances(lanes, h, w->t, w->trial, tried);
    for (int q = 0; q < TRIALS && j + q < have; q++) come_nearer(lanes, w->trial[q], (int32_t)(j + q), w);
  }
  for (; have < k; have++) {
    double sum = 0;
    for (int64_t i = 0; i < m; i++) w->prefix[i] = sum += w->near[i];
    if (!(sum > 0))
      break;
    for (int q = 0; q < TRIALS; q++) {
      int64_t drawn = draw(m, uniform(state) * sum, w);
      tried[q] = w->x + drawn * h;
      distance[q] = paired ? w->pair + drawn * lanes : w->trial[q];
    }
    if (!paired)
      w->kernel.distances(lanes, h, w->t, w->trial, tried);
    int chosen = 0;
    float lowest = INFINITY;
    for (int q = 0; q < TRIALS; q++) {
      float part[LANES] = {0}, potential = 0;
      for (int64_t i = 0; i < lanes; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
          float trial = distance[q][i + lane], near = w->near[i + lane];
          part[lane] += trial < near ? trial : near;
        }
      for (int lane = 0; lane < LANES; lane++) potential += part[lane];
      if (potential < lowest) {
        lowest = potential;
        chosen = q;
      }
    }
    memcpy(w->centre + have * h, tried[chosen], h * 4);
    come_nearer(lanes, distance[chosen], (int32_t)have, w);
  }
  return have;
}

// The nearest centre of each vector and its squared distance, when the centres in `moved` have moved; returns their sum,
// the inertia.
static double assign(int64_t n, int64_t h, int64_t k, int64_t moved, Work *w) {
  for (int64_t number = 0; number < moved; number++) {
    const float *c = w->centre + w->moved[number] * h;
    float part[LANES] = {0}, square = 0;
    int64_t d = 0;
    for (; d + LANES <= h; d += LANES)
      for (int lane = 0; lane < LANES; lane++) part[lane] += c[d + lane] * c[d + lane];
    for (; d < h; d++) square += c[d] * c[d];
    for (int lane = 0; lane < LANES; lane++) square += part[lane];
    w->centre_square[w->moved[number]] = square;
  }
  w->kernel.nearest(padded(n), h, k, w->t, w->centre, w->centre_square, w->moved, moved, w->away, w->distance,
                    w->label);
  double inertia = 0;
  for (int64_t i = 0; i < n; i++) {
    float distance = w->distance[i] + w->square[i];
    w->distance[i] = distance > 0 ? distance : 0;
    inertia += w->distance[i];
  }
  return inertia;
}

// The same where k-means++ has just looked at all vectors.
static double take_over(int64_t n, Work *w) {
  double inertia = 0;
  for (int64_t i = 0; i < n; i++) inertia += w->distance[i] = w->near[i];
  return inertia;
}

// Count the members of each cluster, and give an empty one the vector that is farthest from its centre.
static void count_members(int64_t n, int64_t k, Work *w) {
  memset(w->count, 0, k * 8);
  for (int64_t i = 0; i < n; i++) w->count[w->label[i]]++;
  for (int64_t j = 0; j < k; j++) {
    if (w->count[j])
      continue;
    int64_t far = -1;
    float most = 0;
    for (int64_t i = 0; i < n; i++)
      if (w->distance[i] > most && w->count[w->label[i]] > 1) {
        most = w->distance[i];
        far = i;
      }
    if (far < 0)
      return;
    w->count[w->label[far]]--;
    w->label[far] = (int32_t)j;
    w->count[j] = 1;
    w->distance[far] = 0;
  }
}

// Make the centres of clusters whose members changed their means.
static void means(int64_t n, int64_t h, int64_t k, Work *w) {
  for (int64_t j = 0; j < k; j++)
    if (w->changed[j])
      memset(w->sum + j * h, 0, h * 8);
  w->kernel.add(n, h, w->x, w->label, w->changed, w->sum);
  for (int64_t j = 0; j < k; j++)
    if (w->changed[j] && w->count[j])
      for (int64_t d = 0; d < h; d++) w->centre[j * h + d] = (float)(w->sum[j * h + d] / (double)w->count[j]);
}

// Lloyd's algorithm from the centres that are there; afterwards each is the mean of those that were nearest to it.
// `looked`: k-means++ says which is nearest to each vector. A centre whose members stay the same is where it was, and so
// are the distances to it.
static double lloyd(int64_t n, int64_t h, int64_t k, int looked, Work *w) {
  double before = INFINITY, inertia = 0;
  memset(w->last, 0xff, n * 4);
  int64_t moved = k;
  for (int64_t j = 0; j < k; j++) w->moved[j] = (int32_t)j;
  for (int step = 0; step < STEPS; step++) {
    inertia = looked && !step ? take_over(n, w) : assign(n, h, k, moved, w);
    count_members(n, k, w);
    memset(w->changed, !step, k);
    int64_t changes = 0;
    for (int64_t i = 0; i < n; i++)
      if (w->label[i] != w->last[i]) {
        changes++;
        w->changed[w->label[i]] = 1;
        if (step)
          w->changed[w->last[i]] = 1;
        w->last[i] = w->label[i];
      }
    if (!changes)
      break; // the centres are the means of these members already
    means(n, h, k, w);
    if (before - inertia < TOLERANCE * inertia)
      break;
    before = inertia;
    moved = 0;
    for (int64_t j = 0; j < k; j++)
      if (w->changed[j])
        w->moved[moved++] = (int32_t)j;
  }
  return inertia;
}

// How many k-means++ starts a set gets. A small one is cheap, and chance decides more in it.
static int64_t cold_starts(int64_t n, int warm) {
  int64_t starts = n <= 64 ? 24 : n <= 128 ? 8 : n <= 512 ? 2 : 1;
  return warm ? starts / 2 : starts;
}

static int cluster_one(const float *vectors, int64_t n, int64_t h, int64_t k, const float *start, int64_t starts,
                       uint64_t state, int unit, float *centroids, int64_t *counts, Work *w) {
  if (!take(vectors, n, h, unit, w))
    return NOT_FINITE;
  int64_t distinct = 0; // equal vectors are neighbours in the order of their hashes
  for (int64_t i = 0; i < n && distinct <= k; i++)
    distinct += !i || memcmp(w->x + i * h, w->x + (i - 1) * h, h * 4);
  if (distinct <= k) {
    for (int64_t i = 0, j = -1; i < n; i++) {
      if (!i || memcmp(w->x + i * h, w->x + (i - 1) * h, h * 4))
        memcpy(centroids + ++j * h, w->x + i * h, h * 4);
      counts[j]++;
    }
    return DONE;
  }
  transpose(n, h, w);
  double lowest = NAN; // no attempt has been made
  int64_t cold = cold_starts(n, starts > 0);
  int paired = n <= PAIRED;
  if (paired)
    measure_pairs(n, h, w);
  for (int64_t attempt = starts > 0 ? -1 : 0; attempt < cold; attempt++) {
    int64_t have = 0;
    if (attempt < 0) {
      have = starts < k ? starts : k;
      memcpy(w->centre, start, have * h * 4);
    }
    int looked = have < k && n <= SEEDED;
    if (have < k)
      have = plus_plus(n, h, k, have, paired, &state, w);
    double inertia = lloyd(n, h, have, looked, w);
    if (!(inertia >= lowest)) { // the first one too, and one whose squares leave float32
      lowest = inertia;
      memset(w->count + have, 0, (k - have) * 8);
      memcpy(w->best, w->centre, have * h * 4);
      memcpy(w->best_count, w->count, k * 8);
    }
  }
  for (int64_t j = 0, to = 0; j < k; j++)
    if (w->best_count[j]) {
      memcpy(centroids + to * h, w->best + j * h, h * 4);
      counts[to++] = w->best_count[j];
    }
  return DONE;
}

static void *part(char **at, size_t bytes) {
  char *here = *at;
  *at += (bytes + 63) / 64 * 64;
  return here;
}

// Divide memory among the parts of the work; returns how much they need, so that NULL asks.
static size_t lay_out(Work *w, char *memory, int64_t n, int64_t h, int64_t k) {
  char *at = memory;
  size_t lanes = padded(n);
  w->x = part(&at, n * h * 4);
  w->t = part(&at, lanes * h * 4);
  w->square = part(&at, lanes * 4);
  w->near = part(&at, lanes * 4);
  w->distance = part(&at, lanes * 4);
  for (int q = 0; q < TRIALS; q++) w->trial[q] = part(&at, lanes * 4);
  w->prefix = part(&at, lanes * 8);
  w->label = part(&at, lanes * 4);
  w->last = part(&at, lanes * 4);
  w->away = part(&at, lanes * k * 4);
  w->pair = part(&at, (lanes < PAIRED ? lanes : PAIRED) * PAIRED * 4);
  w->centre = part(&at, k * h * 4);
  w->best = part(&at, k * h * 4);
  w->sum = part(&at, k * h * 8);
  w->centre_square = part(&at, k * 4);
  w->count = part(&at, k * 8);
  w->best_count = part(&at, k * 8);
  w->moved = part(&at, k * 4);
  w->changed = part(&at, k);
  w->key = part(&at, n * sizeof(Key));
  w->factor = part(&at, h * 8);
  return at - memory;
}

// The widest kernel that the processor has, of at most `most` floats.
static Kernel kernel_of(int32_t most) {
#ifdef __x86_64__
  if (most >= 16 && __builtin_cpu_supports("avx512f"))
    return (Kernel){distances_16, nearest_16, add_16};
  if (most >= 8 && __builtin_cpu_supports("avx2"))
    return (Kernel){distances_8, nearest_8, add_8};
#endif
  (void)most;
  return (Kernel){distances_4, nearest_4, add_4};
}

// Cluster `sets` sets of vectors [offsets[sets]][h]: set i is offsets[i] up to offsets[i + 1], not empty, and
// starts[start_offsets[i]] up to starts[start_offsets[i + 1]] are the centres that it starts from; none: k-means++.
//
// centroids [sets][k][h] and counts [sets][k] come as zeros; clusters with members come first. status [sets] says what
// became of each set. `width` bounds the width of the registers, for tests.
void ralm_cluster_many(const float *vectors, const int64_t *offsets, int64_t sets, int64_t h, int64_t k,
                       const float *starts, const int64_t *start_offsets, uint64_t seed, int32_t unit, int32_t width,
                       float *centroids, int64_t *counts, int32_t *status) {
  int64_t most = 1;
  for (int64_t i = 0; i < sets; i++)
    if (offsets[i + 1] - offsets[i] > most)
      most = offsets[i + 1] - offsets[i];
  Work w;
  void *memory = NULL;
  if (posix_memalign(&memory, 64, lay_out(&w, NULL, most, h, k))) {
    for (int64_t i = 0; i < sets; i++) status[i] = NO_MEMORY;
    return;
  }
  lay_out(&w, memory, most, h, k);
  w.kernel = kernel_of(width);
  uint64_t state = 0;
  for (int64_t d = 0; d < h; d++) w.factor[d] = splitmix(&state) | 1;
  for (int64_t i = 0; i < sets; i++)
    status[i] = cluster_one(vectors + offsets[i] * h, offsets[i + 1] - offsets[i], h, k, starts + start_offsets[i] * h,
                            start_offsets[i + 1] - start_offsets[i], seed, unit, centroids + i * k * h, counts + i * k,
                            &w);
  free(memory);
}
