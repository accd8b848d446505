/** Of a batch: it is of no job, or of one that is sealed. Of any other nothing is to be seen. */
export const SEALED = { OR: [{ jobId: null }, { job: { status: 'SEALED' as const } }] };

/** Of a code: it is there for somebody. */
export const COUNTS = { batch: SEALED };
