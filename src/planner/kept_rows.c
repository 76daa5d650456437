/*
 * kept_rows.c
 *		All rows of an entity, kept in a temporary file with an index.
 *
 * A tuplestore cannot be read at random places, and a hash table of the rows would take
 * as much memory as the user pool is large.  So the index has a hash and a place for
 * each row, sorted by the hash.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#include "planner/kept_rows.h"

/* The place of a row in the file. */
typedef struct RowPlace
{
	uint32 hash; /* of the attribute */
	int    file; /* BufFile's number of the segment */
	off_t  offset;
} RowPlace;

struct KeptRows
{
	BufFile               *file;
	const SearchAttribute *attribute; /* indexed */
	RowPlace              *index;     /* sorted; rows without the attribute are left out */
	size_t                 nindexed;
	TupleTableSlot        *slot;
	MemoryContext          row; /* reset after each row */
};

/* Return the hash of a value. */
static uint32
hash_value(const char *value)
{
	return hash_bytes((const unsigned char *) value, (int) strlen(value));
}

/* Compare two entries of the index by their hashes, for qsort. */
static int
compare_places(const void *a, const void *b)
{
	const RowPlace *left = a;
	const RowPlace *right = b;

	CHECK_FOR_INTERRUPTS();
	return left->hash < right->hash ? -1 : left->hash > right->hash;
}

/* Compare the positions of two rows in the file, for qsort. */
static int
compare_positions(const void *a, const void *b)
{
	const RowPlace *left = a;
	const RowPlace *right = b;

	CHECK_FOR_INTERRUPTS();
	if (left->file != right->file)
		return left->file < right->file ? -1 : 1;
	return left->offset < right->offset ? -1 : left->offset > right->offset;
}

/* Write the row in the slot to the end of the file, and enter it into the index. */
static void
write_row(KeptRows *rows)
{
	bool          should_free;
	MinimalTuple  tuple = ExecFetchSlotMinimalTuple(rows->slot, &should_free);
	MemoryContext caller = MemoryContextSwitchTo(rows->row);
	RowPlace     *place = &rows->index[rows->nindexed];
	const char   *value;

	slot_getallattrs(rows->slot);
	value = search_row_value(rows->attribute, rows->slot->tts_values, rows->slot->tts_isnull);
	if (value != NULL)
	{
		place->hash = hash_value(value);
		BufFileTell(rows->file, &place->file, &place->offset);
		rows->nindexed++;
	}
	BufFileWrite(rows->file, tuple, tuple->t_len);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(rows->row);
}

KeptRows *
kept_rows_create(Tuplestorestate *source, TupleDesc columns, const SearchAttribute *attribute)
{
	KeptRows *rows = palloc0(sizeof(KeptRows));
	int64     n = tuplestore_tuple_count(source);

	PrepareTempTablespaces();
	rows->file = BufFileCreateTemp(false);
	rows->attribute = attribute;
	rows->index = palloc_extended(Max(n, 1) * sizeof(RowPlace), MCXT_ALLOC_HUGE);
	rows->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(columns), &TTSOpsMinimalTuple);
	rows->row =
		AllocSetContextCreate(CurrentMemoryContext, "cognito kept row", ALLOCSET_SMALL_SIZES);

	tuplestore_rescan(source);
	while (tuplestore_gettupleslot(source, true, false, rows->slot))
	{
		CHECK_FOR_INTERRUPTS();
		write_row(rows);
	}
	qsort(rows->index, rows->nindexed, sizeof(RowPlace), compare_places);
	return rows;
}

/* Read bytes from the file; return false at its end. */
static bool
read_bytes(KeptRows *rows, void *buffer, size_t length)
{
	size_t nread = BufFileRead(rows->file, buffer, length);

	if (nread != 0 && nread != length)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read from temporary file of a search: %m")));
	return nread == length;
}

/* Read the next row of the file into the slot; return false at its end. */
static bool
read_row(KeptRows *rows)
{
	MemoryContext caller;
	MinimalTuple  tuple;
	uint32        length;

	ExecClearTuple(rows->slot);
	MemoryContextReset(rows->row);
	if (!read_bytes(rows, &length, sizeof(length)))
		return false;
	caller = MemoryContextSwitchTo(rows->row);
	tuple = palloc(length);
	tuple->t_len = length;
	(void) read_bytes(rows, (char *) tuple + sizeof(length), length - sizeof(length));
	ExecStoreMinimalTuple(tuple, rows->slot, false);
	slot_getallattrs(rows->slot);
	MemoryContextSwitchTo(caller);
	return true;
}

/* Return true if the row in the slot matches a search. */
static bool
match_row(KeptRows *rows, const Search *search)
{
	MemoryContext caller = MemoryContextSwitchTo(rows->row);
	int           found = search_find_row(search, rows->slot->tts_values, rows->slot->tts_isnull);

	MemoryContextSwitchTo(caller);
	return found >= 0;
}

/* Return the first entry of the index that has at least this hash. */
static size_t
find_place(const KeptRows *rows, uint32 hash)
{
	size_t low = 0;
	size_t high = rows->nindexed;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (rows->index[middle].hash < hash)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Return the places of rows whose hash is that of a value of a search, in the file's order. */
static RowPlace *
find_places(const KeptRows *rows, const Search *search, size_t *n)
{
	size_t    allocated = 64;
	RowPlace *places = palloc(allocated * sizeof(RowPlace));

	*n = 0;
	for (int value = 0; value < search->nvalues; value++)
	{
		uint32 hash = hash_value(search->values[value]);

		CHECK_FOR_INTERRUPTS();
		for (size_t i = find_place(rows, hash); i < rows->nindexed && rows->index[i].hash == hash;
			 i++)
		{
			if (*n == allocated)
				places = repalloc_huge(places, (allocated *= 2) * sizeof(RowPlace));
			places[(*n)++] = rows->index[i];
		}
	}
	qsort(places, *n, sizeof(RowPlace), compare_positions);
	return places;
}

/* Append the rows that are equal to a value of a search, which the index finds. */
static void
search_index(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	int64     rows_left = search->max_rows;
	size_t    n;
	RowPlace *places = find_places(rows, search, &n);

	for (size_t i = 0; i < n && rows_left > 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0 && compare_positions(&places[i - 1], &places[i]) == 0)
			continue; /* two values have the same hash */
		if (BufFileSeek(rows->file, places[i].file, places[i].offset, SEEK_SET) != 0)
			ereport(ERROR, (errcode_for_file_access(),
							errmsg("could not seek in temporary file of a search: %m")));
		if (read_row(rows) && match_row(rows, search))
		{
			tuplestore_puttupleslot(result, rows->slot);
			rows_left--;
		}
	}
	pfree(places);
}

/* Read all rows, and append those that match a search. */
static void
search_file(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	int64 rows_left = search->max_rows;

	if (BufFileSeek(rows->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not rewind temporary file of a search: %m")));
	while (rows_left > 0 && read_row(rows))
	{
		CHECK_FOR_INTERRUPTS();
		if (match_row(rows, search))
		{
			tuplestore_puttupleslot(result, rows->slot);
			rows_left--;
		}
	}
}

void
kept_rows_search(KeptRows *rows, const Search *search, Tuplestorestate *result)
{
	if (search->attribute == rows->attribute && strcmp(search->op, SEARCH_EQUALS) == 0)
		search_index(rows, search, result);
	else
		search_file(rows, search, result);
	ExecClearTuple(rows->slot);
}

void
kept_rows_free(KeptRows *rows)
{
	ExecDropSingleTupleTableSlot(rows->slot);
	MemoryContextDelete(rows->row);
	BufFileClose(rows->file);
	pfree(rows->index);
	pfree(rows);
}
