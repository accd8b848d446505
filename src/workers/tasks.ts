import { anyReservationRunOut, releaseReservations } from '../coupons/index.ts';
import type { WorkerTask } from '../generated/prisma/client.ts';
import {
  birthdayBonusTask,
  evaluateTiersTask,
  expirePointsTask,
  reengagementBonusTask,
} from '../loyalty/index.ts';
import { deliverWebhooks } from './deliveries.ts';
import { ofMembers } from './member-run.ts';
import { measured } from './metrics.ts';
import { ofProgram } from './program-run.ts';
import type { Task } from './task.ts';
import { topUpPools } from './top-up.ts';

/** What is done once for each local day, in this order. */
export const dailyTasks: readonly Task[] = [
  ofMembers(expirePointsTask),
  ofMembers(evaluateTiersTask),
  ofMembers(birthdayBonusTask),
  ofMembers(reengagementBonusTask),
  ofProgram({
    task: 'RELEASE_RESERVATIONS',
    isDue: anyReservationRunOut,
    work: releaseReservations,
  }),
].map(measured);

/** What is done whenever there is something to do. */
const otherTasks: readonly Task[] = [ofProgram(topUpPools), ofProgram(deliverWebhooks)].map(
  measured,
);

export const allTasks: readonly Task[] = [...dailyTasks, ...otherTasks];

export function taskNamed(name: WorkerTask): Task {
  const task = allTasks.find((one) => one.task === name);
  if (!task) throw new Error(`${name} is no task of the fleet`);
  return task;
}
