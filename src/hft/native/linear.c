/* Products with the weights of linear layers, block of rows by block of rows, and what follows each of them on the
 * numbers while these are in the cache, in float32. Rows are tokens. Widths are multiples of 32. */

#include <omp.h>

#include "tiles.h"

#define BLOCK 128       /* rows */
#define DEPTH_BLOCK 384 /* of a product's depth, so that two lines of right tiles stay in the first cache */
#define SQUARE_SIZE (SQUARE * SQUARE)

/* A weight [out, in], packed to right tiles [column tile][depth]. */
typedef struct {
    const bf16 *tiles;
    int64_t depth, columns;
} packed;

/* For rows [.., in] to [.., out]: its transpose. */
static packed pack_forward(const bf16 *weight, int64_t out, int64_t in, bf16 *to)
{
    packed result = {to, in, out};
    for (int64_t row = 0; row < out; row += TILE)
        for (int64_t column = 0; column < in; column += DEPTH, to += TILE_SIZE)
            pack_across(weight + row * in + column, in, to);
    return result;
}

/* For gradients [.., out] to [.., in]. */
static packed pack_backward(const bf16 *weight, int64_t out, int64_t in, bf16 *to)
{
    for (int64_t column = 0; column < in; column += SQUARE)
        for (int64_t row = 0; row < out; row += DEPTH) {
            bf16 *first = to + column * out + row * TILE;
            pack_rows(weight + row * in + column, in, DEPTH, 0, first, first + TILE * out);
        }
    return (packed){to, out, in};
}

enum ending { STORE, ADD, GELU, MULTIPLY };

/* What follows a product.
 *
 * STORE: result is the product. ADD: the product plus `other`. GELU: GELU of the product plus bias, and `slope`, its
 * derivative there. MULTIPLY: the product times `other`, whose sums over rows `sums` are added to.
 * Rows of result, other and slope are `columns` wide. */
typedef struct {
    enum ending kind;
    bf16 *result, *slope;
    const bf16 *other;
    const float *bias;
    float *sums;
} ending;

/* A square of a product that has been computed: rows from `row` and columns from `column` on, of which `rows` are
 * there. `done` of its rows have been ended. */
typedef struct {
    float *found;
    int64_t row, rows, column, done;
} computed;

/* What follows the product, for the next rows of a square, up to `stop`. */
static inline void end_rows(computed *at, int64_t stop, ending of, int64_t columns)
{
    lanes total = {0}, other_total = {0}, bias = {0}, other_bias = {0};
    int64_t column = at->column;
    if (of.kind == GELU) {
        bias = load_lanes(of.bias + column);
        other_bias = load_lanes(of.bias + column + TILE);
    }
    for (stop = stop < at->rows ? stop : at->rows; at->done < stop; at->done++) {
        const float *of_row = at->found + at->done / TILE * 2 * TILE * TILE + at->done % TILE * TILE;
        lanes value = load_lanes(of_row), other_value = load_lanes(of_row + TILE * TILE);
        int64_t place = (at->row + at->done) * columns + column;
        if (of.kind == ADD) {
            value += widen_lanes(of.other + place);
            other_value += widen_lanes(of.other + place + TILE);
        }
        if (of.kind == MULTIPLY) {
            total += value *= widen_lanes(of.other + place);
            other_total += other_value *= widen_lanes(of.other + place + TILE);
        }
        if (of.kind == GELU) {
            lanes slope, other_slope;
            value = gelu(value + bias, &slope);
            other_value = gelu(other_value + other_bias, &other_slope);
            store_row(of.slope + place, slope, other_slope);
        }
        store_row(of.result + place, value, other_value);
    }
    if (of.kind == MULTIPLY) {
        store_lanes(of.sums + column, load_lanes(of.sums + column) + total);
        store_lanes(of.sums + column + TILE, load_lanes(of.sums + column + TILE) + other_total);
    }
}

/* Asks for the memory that end_rows needs, while the product is computed. */
static inline void fetch_square(ending of, computed at, int64_t columns)
{
    for (int64_t i = at.row; i < at.row + at.rows; i++) {
        __builtin_prefetch(of.other + i * columns + at.column);
    }
}

/* A square's product, and between its steps, which leave the vector units free, the end of the square before. */
static inline void multiply_square(computed *next, left_tiles left, right_tiles right, int64_t steps, int added,
                                   computed *before, ending of, int64_t columns, int registers)
{
    square to = {next->found, 2 * TILE * TILE, TILE * TILE};
#ifdef HAS_TILE_REGISTERS
    if (registers) {
        int64_t each = (SQUARE + steps - 1) / steps;
        open_square(to, added);
        for (int64_t step = 0; step < steps; step++) {
            step_square(left, right, step);
            end_rows(before, before->done + each, of, columns);
        }
        close_square(to);
        return;
    }
#endif
    end_rows(before, SQUARE, of, columns);
    square_product(to, left, right, steps, added, registers);
}

/* The product of a block of at most BLOCK rows, from `row` on, by a weight. `memory`: room for the block's product and
 * for a square of rows. */
static inline void multiply_block(const bf16 *values, int64_t row, int64_t rows, packed weight, ending of, float *memory,
                                  int registers)
{
    int64_t squares = whole(rows, SQUARE) / SQUARE, rest = rows % SQUARE, depth = weight.depth;
    const bf16 *last = values + (row + rows - rest) * depth;
    if (rest) { /* tiles are loaded whole */
        bf16 *filled = (bf16 *)(memory + BLOCK * weight.columns);
        memcpy(filled, last, (size_t)(rest * depth) * 2);
        memset(filled + rest * depth, 0, (size_t)((SQUARE - rest) * depth) * 2);
        last = filled;
    }
    computed before = {0};
    for (int64_t start = 0; start < depth; start += DEPTH_BLOCK) {
        int64_t stop = start + DEPTH_BLOCK < depth ? start + DEPTH_BLOCK : depth, number = 0;
        for (int64_t at = 0; at < squares; at++)
            for (int64_t column = 0; column < weight.columns; column += SQUARE, number++) {
                int filled = rest && at == squares - 1;
                const bf16 *left = filled ? last : values + (row + at * SQUARE) * depth;
                /* Where the depth is one block, two squares by turns. */
                float *found = memory + (depth > DEPTH_BLOCK ? number : number % 2) * SQUARE_SIZE;
                computed next = {found, row + at * SQUARE, filled ? rest : SQUARE, column, 0};
                if (stop == depth && of.other)
                    fetch_square(of, next, weight.columns);
                multiply_square(&next, (left_tiles){left + start, depth, DEPTH, TILE * depth},
                                (right_tiles){weight.tiles + column * depth + start * TILE, TILE * depth},
                                (stop - start) / DEPTH, start > 0, &before, of, weight.columns, registers);
                if (stop == depth)
                    before = next;
            }
    }
    end_rows(&before, SQUARE, of, weight.columns);
}

/* The blocks of a thread. */
static void blocks_of(int64_t rows, int64_t *start, int64_t *stop)
{
    int64_t blocks = (rows + BLOCK - 1) / BLOCK, thread = omp_get_thread_num(), threads = omp_get_num_threads();
    *start = blocks * thread / threads * BLOCK;
    *stop = blocks * (thread + 1) / threads * BLOCK;
}

static inline int64_t rows_at(int64_t row, int64_t rows) { return rows - row < BLOCK ? rows - row : BLOCK; }

/* Room for a block's product of so many columns and for a square of rows so deep, in numbers of 32 bits. */
static int64_t room(int64_t columns, int64_t depth) { return BLOCK * columns + SQUARE / 2 * depth; }

/* result [rows, columns] = values [rows, depth] by a weight, plus `added` (or NULL). Backward: by weight
 * [depth, columns], else by the transpose of weight [columns, depth]. */
int hft_linear(const bf16 *values, const bf16 *weight, const bf16 *added, bf16 *result, int64_t rows, int64_t depth,
               int64_t columns, int64_t backward, int threads)
{
    int64_t of_block = room(columns, depth), of_thread = of_block + depth * columns / 2;
    float *memory = scratch((size_t)(threads * of_thread) * 4);
    if (!memory)
        return NO_MEMORY;
#pragma omp parallel num_threads(threads)
    {
        float *own = memory + omp_get_thread_num() * of_thread;
        bf16 *tiles = (bf16 *)(own + of_block);
        packed of = backward ? pack_backward(weight, depth, columns, tiles) : pack_forward(weight, columns, depth, tiles);
        int registers = begin_tiles();
        int64_t start, stop;
        blocks_of(rows, &start, &stop);
        for (int64_t row = start; row < stop; row += BLOCK)
            if (added)
                multiply_block(values, row, rows_at(row, rows), of, (ending){.kind = ADD, .result = result, .other = added},
                               own, registers);
            else
                multiply_block(values, row, rows_at(row, rows), of, (ending){.kind = STORE, .result = result}, own,
                               registers);
        end_tiles(registers);
    }
    return DONE;
}

/* result [rows, width] = middle [rows, inner] by `second`, where middle is what `end` makes of values [rows, width] by
 * `first`. Backward: as in hft_linear. sums (or NULL): [inner], over the rows, of what MULTIPLY gives. */
static int two_products(const bf16 *values, const bf16 *first, ending end, const bf16 *second, bf16 *result, float *sums,
                        int64_t rows, int64_t width, int64_t inner, int backward, int threads)
{
    int64_t most = width > inner ? width : inner, of_block = room(most, most);
    int64_t of_thread = of_block + width * inner / 2 + inner; /* the last are the thread's sums */
    float *memory = scratch((size_t)(threads * of_thread) * 4);
    if (!memory)
        return NO_MEMORY;
    for (int thread = 0; thread < threads; thread++) /* there may be fewer */
        memset(memory + (thread + 1) * of_thread - inner, 0, (size_t)inner * 4);
#pragma omp parallel num_threads(threads)
    {
        float *own = memory + omp_get_thread_num() * of_thread;
        bf16 *tiles = (bf16 *)(own + of_block);
        ending of = end;
        of.sums = own + of_thread - inner;
        packed weight = backward ? pack_backward(first, width, inner, tiles) : pack_forward(first, inner, width, tiles);
        int registers = begin_tiles();
        int64_t start, stop;
        blocks_of(rows, &start, &stop);
        for (int64_t row = start; row < stop; row += BLOCK)
            multiply_block(values, row, rows_at(row, rows), weight, of, own, registers);
        weight = backward ? pack_backward(second, inner, width, tiles) : pack_forward(second, width, inner, tiles);
        for (int64_t row = start; row < stop; row += BLOCK)
            multiply_block(end.result, row, rows_at(row, rows), weight, (ending){.kind = STORE, .result = result}, own,
                           registers);
        end_tiles(registers);
    }
    if (sums)
        memset(sums, 0, (size_t)inner * 4);
    for (int thread = 0; sums && thread < threads; thread++)
        for (int64_t i = 0; i < inner; i++)
            sums[i] += memory[(thread + 1) * of_thread - inner + i];
    return DONE;
}

/* A feed-forward network: result [rows, width] = raised by `down` transposed, where raised [rows, inner] is GELU of
 * values [rows, width] by `up` transposed plus bias, and slope its derivative. up: [inner, width], down: [width, inner]. */
int hft_feed_forward(const bf16 *values, const bf16 *up, const float *bias, const bf16 *down, bf16 *raised, bf16 *slope,
                     bf16 *result, int64_t rows, int64_t width, int64_t inner, int threads)
{
    ending end = {.kind = GELU, .result = raised, .slope = slope, .bias = bias};
    return two_products(values, up, end, down, result, NULL, rows, width, inner, 0, threads);
}

/* The backward pass: from `gradient`, that of the result, to_up [rows, inner], that of what goes into GELU, its sums
 * over rows, and to_values [rows, width]. */
int hft_feed_forward_backward(const bf16 *gradient, const bf16 *up, const bf16 *down, const bf16 *slope, bf16 *to_up,
                              float *sums, bf16 *to_values, int64_t rows, int64_t width, int64_t inner, int threads)
{
    ending end = {.kind = MULTIPLY, .result = to_up, .other = slope};
    return two_products(gradient, down, end, up, to_values, sums, rows, width, inner, 1, threads);
}
