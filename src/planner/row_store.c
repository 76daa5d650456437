/*
 * row_store.c
 *		Rows that are read in any order, by the places at which they were appended.
 *
 * A place is the number of bytes before a row.  It is the same in memory and in the file.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#include "planner/row_store.h"

struct RowStore
{
	MemoryContext  context;
	StringInfoData memory;   /* all rows, as long as they fit into work_mem */
	BufFile       *file;     /* all rows, since they do not; NULL before */
	off_t          end;      /* the place of the next row that is appended */
	off_t          position; /* the place of the next row that is read, and of the file */
};

RowStore *
row_store_create(void)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito rows", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	RowStore     *rows = palloc0(sizeof(RowStore));

	rows->context = context;
	initStringInfo(&rows->memory);
	MemoryContextSwitchTo(caller);
	return rows;
}

/* Return true if so many bytes more fit into memory. */
static bool
has_memory(const RowStore *rows, size_t length)
{
	size_t limit = Min(work_mem * (size_t) 1024, MaxAllocSize / 2);

	return rows->file == NULL && rows->memory.len + length <= limit;
}

/* Move all rows to a file, whose position is their end. */
static void
move_to_file(RowStore *rows)
{
	MemoryContext caller = MemoryContextSwitchTo(rows->context);

	PrepareTempTablespaces();
	rows->file = BufFileCreateTemp(false);
	MemoryContextSwitchTo(caller);
	BufFileWrite(rows->file, rows->memory.data, rows->memory.len);
	pfree(rows->memory.data);
}

off_t
row_store_append(RowStore *rows, TupleTableSlot *slot)
{
	MinimalTuple tuple = ExecFetchSlotMinimalTuple(slot, NULL);
	off_t        place = rows->end;

	row_store_seek(rows, place);
	if (has_memory(rows, tuple->t_len))
		appendBinaryStringInfo(&rows->memory, (char *) tuple, (int) tuple->t_len);
	else
	{
		if (rows->file == NULL)
			move_to_file(rows);
		BufFileWrite(rows->file, tuple, tuple->t_len);
	}
	rows->end += tuple->t_len;
	rows->position = rows->end;
	return place;
}

void
row_store_seek(RowStore *rows, off_t place)
{
	/* Relative to the position, since only that is independent of the file's segments. */
	if (rows->file != NULL && BufFileSeek(rows->file, 0, place - rows->position, SEEK_CUR) != 0)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not seek in temporary file of a search: %m")));
	rows->position = place;
}

/* Read bytes at the position. */
static void
read_bytes(RowStore *rows, void *buffer, size_t length)
{
	if (rows->file == NULL)
		memcpy(buffer, rows->memory.data + rows->position, length);
	else if (BufFileRead(rows->file, buffer, length) != length)
		ereport(ERROR, (errcode_for_file_access(),
						errmsg("could not read from temporary file of a search: %m")));
	rows->position += (off_t) length;
}

bool
row_store_read(RowStore *rows, TupleTableSlot *slot)
{
	MinimalTuple tuple;
	uint32       length;

	ExecClearTuple(slot);
	if (rows->position == rows->end)
		return false;
	read_bytes(rows, &length, sizeof(length));
	tuple = MemoryContextAlloc(slot->tts_mcxt, length);
	tuple->t_len = length;
	read_bytes(rows, (char *) tuple + sizeof(length), length - sizeof(length));
	ExecStoreMinimalTuple(tuple, slot, true);
	return true;
}

void
row_store_free(RowStore *rows)
{
	if (rows->file != NULL)
		BufFileClose(rows->file);
	MemoryContextDelete(rows->context);
}
