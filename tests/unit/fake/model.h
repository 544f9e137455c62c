/*
 * model.h - a set of numbers that is too simple to be wrong, to hold base/ranges.h against.
 */
#ifndef FAKE_MODEL_H
#define FAKE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ranges.h"

enum { MODEL = 300 }; /* numbers 1..MODEL; a model is a bool[MODEL + 1] */

/* A number of 0..below - 1; the same ones follow each seed. */
void model_seed(uint32_t seed);
uint32_t model_pick(uint32_t below);

/* Fail unless the set is sorted, its ranges apart from each other, and the model's numbers. */
void model_check(const struct ranges *s, const bool *model);

/* Fail unless the set is this one, in its shortest form: "1,5:7". */
void model_check_text(const struct ranges *s, const char *want);

#endif
