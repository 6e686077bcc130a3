/* The gradient of a linear layer's weight, which sums over tokens: a product whose both sides stand the wrong way for
 * tile registers. They are packed block by block, so that what is packed is used while it is in the cache. */

#include <omp.h>

#include "tiles.h"

#define BLOCK 256       /* tokens that are packed at once */
#define SQUARE (2 * TILE) /* a part of the result of 2 x 2 tiles, which stays in registers over a block */
#define SQUARE_SIZE (SQUARE * SQUARE)

/* Whether there are tile registers here: without them hft_weight_product is slower than a library's product. */
int hft_has_tiles(void) { return tiles_allowed(); }

/* `count` rows of columns [start, stop) to tiles [column / 16][row / 32]. */
static void pack_columns(const bf16 *from, int64_t stride, int64_t count, int64_t start, int64_t stop, int transposed,
                         bf16 *to)
{
    int64_t steps = whole(count, DEPTH) / DEPTH;
    for (int64_t step = 0; step < steps; step++)
        for (int64_t column = start; column < stop; column += SQUARE) {
            bf16 *first = to + ((column - start) / TILE * steps + step) * TILE_SIZE;
            pack_rows(from + step * DEPTH * stride + column, stride, count - step * DEPTH, transposed, first,
                      first + steps * TILE_SIZE);
        }
}

/* sums [2, 2, 16, 16] of two left and two right tile columns; those of earlier blocks are added to. */
static void add_square(const bf16 *left, const bf16 *right, int64_t steps, int first, float *sums,
                       int registers)
{
    const bf16 *other_left = left + steps * TILE_SIZE, *other_right = right + steps * TILE_SIZE;
#ifdef HAS_TILE_REGISTERS
    if (registers) {
        __asm__ volatile("" ::: "memory"); /* what tiles are loaded from has been written */
        if (first) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        } else {
            _tile_loadd(0, sums, 64);
            _tile_loadd(1, sums + TILE * TILE, 64);
            _tile_loadd(2, sums + 2 * TILE * TILE, 64);
            _tile_loadd(3, sums + 3 * TILE * TILE, 64);
        }
        for (int64_t step = 0; step < steps; step++) {
            _tile_loadd(4, left + step * TILE_SIZE, 64);
            _tile_loadd(6, right + step * TILE_SIZE, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, other_right + step * TILE_SIZE, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, other_left + step * TILE_SIZE, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        _tile_stored(0, sums, 64);
        _tile_stored(1, sums + TILE * TILE, 64);
        _tile_stored(2, sums + 2 * TILE * TILE, 64);
        _tile_stored(3, sums + 3 * TILE * TILE, 64);
        __asm__ volatile("" ::: "memory");
        return;
    }
#else
    (void)registers;
#endif
    for (int tile = 0; tile < 4; tile++)
        plain_product(sums + tile * TILE * TILE, tile / 2 ? other_left : left, DEPTH, TILE_SIZE,
                      tile % 2 ? other_right : right, steps, !first);
}

/* A square of sums to its place at `row` and `column` of [left, right], or of the transpose of that. */
static void place_square(const float *sums, float *result, int64_t left, int64_t right, int64_t row, int64_t column,
                         int transposed)
{
    for (int tile = 0; tile < 4; tile++) {
        int64_t to_row = row + tile / 2 * TILE, to_column = column + tile % 2 * TILE;
        words rows[TILE];
        memcpy(rows, sums + tile * TILE * TILE, sizeof rows);
        if (transposed)
            transpose_words(rows);
        float *to = transposed ? result + to_column * left + to_row : result + to_row * right + to_column;
        for (int i = 0; i < TILE; i++)
            memcpy(to + i * (transposed ? left : right), rows + i, 64);
    }
}

/* result [out, in] = gradient [rows, out] transposed, by inputs [rows, in]; `out` and `in` are whole squares. The sums
 * do not depend on the number of threads. */
void hft_weight_product(const bf16 *gradient, const bf16 *inputs, float *result, int64_t rows, int64_t out, int64_t in,
                        int threads)
{
    /* The narrower side stands left, since to transpose costs more than to pair. */
    int transposed = out > in;
    const bf16 *narrow_side = transposed ? inputs : gradient, *wide_side = transposed ? gradient : inputs;
    int64_t left = transposed ? in : out, right = transposed ? out : in;
    int64_t columns = (right / SQUARE + threads - 1) / threads * SQUARE; /* of a thread, at most */
    int64_t of_thread = (left + columns) * BLOCK * 2 + left * columns * 4;
    char *memory = scratch((size_t)(threads * of_thread));
#pragma omp parallel num_threads(threads)
    {
        int thread = omp_get_thread_num(), count = omp_get_num_threads();
        int64_t start = right / SQUARE * thread / count * SQUARE, stop = right / SQUARE * (thread + 1) / count * SQUARE;
        bf16 *packed_left = (bf16 *)(memory + thread * of_thread), *packed = packed_left + left * BLOCK;
        float *sums = (float *)(packed + columns * BLOCK);
        int registers = begin_tiles();
        for (int64_t row = 0; row < rows; row += BLOCK) {
            int64_t height = rows - row < BLOCK ? rows - row : BLOCK, steps = whole(height, DEPTH) / DEPTH;
            pack_columns(narrow_side + row * left, left, height, 0, left, 1, packed_left);
            pack_columns(wide_side + row * right, right, height, start, stop, 0, packed);
            float *of_square = sums;
            for (int64_t column = 0; column < stop - start; column += SQUARE)
                for (int64_t line = 0; line < left; line += SQUARE, of_square += SQUARE_SIZE)
                    add_square(packed_left + line * steps * DEPTH, packed + column * steps * DEPTH, steps, row == 0,
                               of_square, registers);
        }
        end_tiles(registers);
        for (int64_t column = start; column < stop; column += SQUARE)
            for (int64_t line = 0; line < left; line += SQUARE, sums += SQUARE_SIZE)
                place_square(sums, result, left, right, line, column, transposed);
    }
}
