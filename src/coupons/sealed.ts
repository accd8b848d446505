/** Of a code: it is not of a job that is not sealed. What is of one is not there for anybody. */
export const COUNTS = {
  batch: { OR: [{ jobId: null }, { job: { status: 'SEALED' as const } }] },
};
