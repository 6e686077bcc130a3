/* The gradient of a linear layer's weight, which sums over tokens: a product whose both sides stand the wrong way for
 * tile registers. They are packed block by block, so that what is packed is used while it is in the cache. */

#include "tiles.h"

#define BLOCK 256 /* tokens that are packed at once */
#define SQUARE_SIZE (SQUARE * SQUARE)

/* Whether there are tile registers here: without them hft_weight_product is slower than a library's product. */
int hft_has_tiles(void) { return tiles_allowed(); }

/* Whether vectors of 16 numbers are one register here: without them attention is slower than a library's products. */
int hft_has_wide_vectors(void)
{
#if defined(__AVX512BW__)
    return 1;
#else
    return 0;
#endif
}

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
int hft_weight_product(const bf16 *gradient, const bf16 *inputs, float *result, int64_t rows, int64_t out, int64_t in,
                       int threads)
{
    /* The narrower side stands left, since to transpose costs more than to pair. */
    int transposed = out > in;
    const bf16 *narrow_side = transposed ? inputs : gradient, *wide_side = transposed ? gradient : inputs;
    int64_t left = transposed ? in : out, right = transposed ? out : in;
    int64_t columns = (right / SQUARE + threads - 1) / threads * SQUARE; /* of a part, at most */
    int64_t of_part = (left + columns) * BLOCK * 2 + left * columns * 4;
    char *memory = scratch((size_t)(threads * of_part));
    if (!memory)
        return NO_MEMORY;
    memset(result, 0, (size_t)(rows ? 0 : out * in) * 4);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int part = 0; part < (rows ? threads : 0); part++) {
        int64_t start = right / SQUARE * part / threads * SQUARE, stop = right / SQUARE * (part + 1) / threads * SQUARE;
        bf16 *packed_left = (bf16 *)(memory + part * of_part), *packed = packed_left + left * BLOCK;
        float *sums = (float *)(packed + columns * BLOCK);
        int registers = begin_tiles();
        for (int64_t row = 0; row < rows; row += BLOCK) {
            int64_t height = rows - row < BLOCK ? rows - row : BLOCK, steps = whole(height, DEPTH) / DEPTH;
            int64_t of_line = steps * DEPTH; /* numbers of a packed column */
            pack_columns(narrow_side + row * left, left, height, 0, left, 1, packed_left);
            pack_columns(wide_side + row * right, right, height, start, stop, 0, packed);
            float *of_square = sums;
            for (int64_t column = 0; column < stop - start; column += SQUARE)
                for (int64_t line = 0; line < left; line += SQUARE, of_square += SQUARE_SIZE)
                    square_product((square){of_square, 2 * TILE * TILE, TILE * TILE},
                                   (left_tiles){packed_left + line * of_line, DEPTH, TILE_SIZE, TILE * of_line},
                                   (right_tiles){packed + column * of_line, TILE * of_line}, steps, row > 0, registers);
        }
        end_tiles(registers);
        for (int64_t column = start; column < stop; column += SQUARE)
            for (int64_t line = 0; line < left; line += SQUARE, sums += SQUARE_SIZE)
                place_square(sums, result, left, right, line, column, transposed);
    }
    return DONE;
}
