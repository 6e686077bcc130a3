#ifndef HFT_SCRATCH_H
#define HFT_SCRATCH_H

#include <stddef.h>

/* What the functions in C return. */
enum { DONE = 0, NO_MEMORY = 1 };

/* Memory of the calling thread, aligned to 64 bytes, of any content, good until its next call; it goes with the thread.
 * NULL: there is none. */
void *scratch(size_t size);

#endif
