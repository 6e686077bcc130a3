/* Matrix products of tiles: 16 x 32 numbers of bf16 by 32 x 16, summed in float32, for squares of 2 x 2 tiles at once.
 * By the processor's tile registers (Intel AMX) where it has them and the system allows it, else by plain loops.
 *
 * A left tile stands as its 16 rows of 32 numbers. A right tile stands in pairs of rows: [row / 2][column][row % 2].
 */

#ifndef HFT_TILES_H
#define HFT_TILES_H

#include "scratch.h"
#include "vectors.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#define HAS_TILE_REGISTERS 1
#endif

#define TILE 16
#define DEPTH 32
#define TILE_SIZE (TILE * DEPTH)

static inline int64_t whole(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

static inline void transpose_words(words rows[TILE])
{
#if defined(__AVX512BW__)
    __m512i a[TILE], b[TILE];
    for (int i = 0; i < TILE; i++)
        b[i] = (__m512i)rows[i];
    for (int i = 0; i < 8; i++) {
        a[2 * i] = _mm512_unpacklo_epi32(b[2 * i], b[2 * i + 1]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(b[2 * i], b[2 * i + 1]);
    }
    for (int i = 0; i < 4; i++) {
        b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_i32x4(b[i], b[4 + i], 0x88);
        a[4 + i] = _mm512_shuffle_i32x4(b[i], b[4 + i], 0xdd);
        a[8 + i] = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0x88);
        a[12 + i] = _mm512_shuffle_i32x4(b[8 + i], b[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = (words)_mm512_shuffle_i32x4(a[i], a[8 + i], 0x88);
        rows[4 + i] = (words)_mm512_shuffle_i32x4(a[4 + i], a[12 + i], 0x88);
        rows[8 + i] = (words)_mm512_shuffle_i32x4(a[i], a[8 + i], 0xdd);
        rows[12 + i] = (words)_mm512_shuffle_i32x4(a[4 + i], a[12 + i], 0xdd);
    }
#else
    words columns[TILE];
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++)
            columns[j][i] = rows[i][j];
    memcpy(rows, columns, sizeof columns);
#endif
}

/* Two rows of 32 numbers, two in a word, to a row of pairs of each of two right tiles. */
static inline void pair_rows(words upper, words lower, words *left, words *right)
{
#if defined(__AVX512BW__)
    static const uint16_t order[2][32] __attribute__((aligned(64))) = {
        {0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47},
        {16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58, 27, 59, 28, 60, 29, 61, 30, 62, 31, 63}};
    *left = (words)_mm512_permutex2var_epi16((__m512i)upper, _mm512_load_si512(order[0]), (__m512i)lower);
    *right = (words)_mm512_permutex2var_epi16((__m512i)upper, _mm512_load_si512(order[1]), (__m512i)lower);
#else
    for (int i = 0; i < TILE; i++) {
        uint32_t above = upper[i / 2] >> i % 2 * 16 & 0xffff, below = lower[i / 2] >> i % 2 * 16 & 0xffff;
        uint32_t above_right = upper[8 + i / 2] >> i % 2 * 16 & 0xffff, below_right = lower[8 + i / 2] >> i % 2 * 16;
        (*left)[i] = above | below << 16;
        (*right)[i] = above_right | below_right << 16;
    }
#endif
}

/* `count` of 32 rows (the others are zeros) of 32 columns, to two tiles of 16 columns each: as they stand to right
 * tiles, transposed to left ones. */
static inline void pack_rows(const bf16 *from, int64_t stride, int64_t count, int transposed, bf16 *first, bf16 *second)
{
    words left[TILE], right[TILE];
    if (count >= DEPTH)
        for (int i = 0; i < TILE; i++)
            pair_rows(load_words(from + 2 * i * stride), load_words(from + (2 * i + 1) * stride), left + i, right + i);
    else
        for (int i = 0; i < TILE; i++) {
            words none = {0};
            pair_rows(2 * i < count ? load_words(from + 2 * i * stride) : none,
                      2 * i + 1 < count ? load_words(from + (2 * i + 1) * stride) : none, left + i, right + i);
        }
    if (transposed) {
        transpose_words(left);
        transpose_words(right);
    }
    memcpy(first, left, sizeof left);
    memcpy(second, right, sizeof right);
}

/* 16 rows of 32 columns, transposed to a right tile. */
static inline void pack_across(const bf16 *from, int64_t stride, bf16 *to)
{
    words rows[TILE];
    for (int i = 0; i < TILE; i++)
        memcpy(rows + i, from + i * stride, 64);
    transpose_words(rows);
    memcpy(to, rows, sizeof rows);
}

#ifdef HAS_TILE_REGISTERS
struct tile_settings {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
#endif

/* Whether tile registers may be used: the system gives their memory to a process that asks for it. */
static int tiles_allowed(void)
{
#ifdef HAS_TILE_REGISTERS
    static int known; /* 1: they may; -1: they may not */
    int now = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!now) {
        enum { ASK_FOR_STATE = 0x1023, TILE_DATA = 18 };
        now = syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0 ? 1 : -1;
        __atomic_store_n(&known, now, __ATOMIC_RELAXED);
    }
    return now == 1;
#else
    return 0;
#endif
}

/* Makes this thread's registers ready; what it returns is for square_product. */
static int begin_tiles(void)
{
    int allowed = tiles_allowed();
#ifdef HAS_TILE_REGISTERS
    if (allowed) {
        struct tile_settings settings __attribute__((aligned(64))) = {.palette = 1};
        for (int i = 0; i < 8; i++) {
            settings.row_bytes[i] = 64;
            settings.rows[i] = TILE;
        }
        __asm__ volatile("" : : "r"(&settings) : "memory"); /* all of it is read */
        _tile_loadconfig(&settings);
    }
#endif
    return allowed;
}

static void end_tiles(int registers)
{
#ifdef HAS_TILE_REGISTERS
    if (registers)
        _tile_release();
#else
    (void)registers;
#endif
}

/* Left tiles: two lines of them, `line` numbers apart, each of tiles `step` apart, whose rows are `row` apart. */
typedef struct {
    const bf16 *at;
    int64_t row, step, line;
} left_tiles;

/* Right tiles: two lines of them, `line` numbers apart, each of tiles that stand one after the other. */
typedef struct {
    const bf16 *at;
    int64_t line;
} right_tiles;

/* Where the four tiles of a square go: [16, 16] each, `below` and `beside` numbers apart. */
typedef struct {
    float *at;
    int64_t below, beside;
} square;

#define SQUARE (2 * TILE)

/* The parts of square_product with tile registers: what stands in `to` or zeros, plus the products of steps, to `to`. */
#ifdef HAS_TILE_REGISTERS
static inline void open_square(square to, int added)
{
    __asm__ volatile("" ::: "memory"); /* what tiles are loaded from has been written */
    if (added) {
        _tile_loadd(0, to.at, 64);
        _tile_loadd(1, to.at + to.beside, 64);
        _tile_loadd(2, to.at + to.below, 64);
        _tile_loadd(3, to.at + to.below + to.beside, 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

static inline void step_square(left_tiles left, right_tiles right, int64_t step)
{
    const bf16 *of_left = left.at + step * left.step, *of_right = right.at + step * TILE_SIZE;
    int64_t stride = left.row * 2;
    _tile_loadd(4, of_left, stride);
    _tile_loadd(6, of_right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, of_right + right.line, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, of_left + left.line, stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

static inline void close_square(square to)
{
    _tile_stored(0, to.at, 64);
    _tile_stored(1, to.at + to.beside, 64);
    _tile_stored(2, to.at + to.below, 64);
    _tile_stored(3, to.at + to.below + to.beside, 64);
    __asm__ volatile("" ::: "memory");
}
#endif

#define AT_ONCE 4 /* rows whose sums stay in registers */

/* square_product without tile registers. */
static void plain_product(square to, left_tiles left, right_tiles right, int64_t steps, int added)
{
    for (int row = 0; row < SQUARE; row += AT_ONCE) {
        float *of_rows = to.at + row / TILE * to.below + row % TILE * TILE;
        const bf16 *of_left = left.at + row / TILE * left.line + row % TILE * left.row;
        lanes sums[AT_ONCE][2] = {{{0}}};
        if (added)
            for (int i = 0; i < AT_ONCE; i++)
                for (int column = 0; column < 2; column++)
                    sums[i][column] = load_lanes(of_rows + column * to.beside + i * TILE);
        for (int64_t step = 0; step < steps; step++)
            for (int pair = 0; pair < TILE; pair++) {
                const bf16 *of_right = right.at + step * TILE_SIZE + pair * DEPTH;
                words first = load_words(of_right), second = load_words(of_right + right.line);
                for (int i = 0; i < AT_ONCE; i++) {
                    const bf16 *numbers = of_left + step * left.step + i * left.row + 2 * pair;
                    sums[i][0] = add_pairs(sums[i][0], numbers, first);
                    sums[i][1] = add_pairs(sums[i][1], numbers, second);
                }
            }
        for (int i = 0; i < AT_ONCE; i++)
            for (int column = 0; column < 2; column++)
                store_lanes(of_rows + column * to.beside + i * TILE, sums[i][column]);
    }
}

/* The sum over `steps` of left by right tiles, [32, 32], or that added to what stands in `to`. */
static inline void square_product(square to, left_tiles left, right_tiles right, int64_t steps, int added, int registers)
{
#ifdef HAS_TILE_REGISTERS
    if (registers) {
        open_square(to, added);
        for (int64_t step = 0; step < steps; step++)
            step_square(left, right, step);
        close_square(to);
        return;
    }
#else
    (void)registers;
#endif
    plain_product(to, left, right, steps, added);
}

#endif
