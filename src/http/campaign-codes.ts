import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Deps } from '../deps.ts';
import { conflict, Mistake, notFound } from '../kernel/errors.ts';
import type { CampaignId } from '../kernel/ids.ts';
import { campaignById, exportCodes } from '../marketing/index.ts';
import { authenticate } from '../programs/index.ts';

/**
 * GET /campaigns/<id>/codes.csv: who has which code, for the system that sends the mails. Secret
 * keys with the scope CODES_REVEAL. The file is made as fast as it is taken. What fails after its
 * beginning was sent can only cut it off: the reader sees a broken connection, the operator why.
 */
export function registerCampaignCodes(app: FastifyInstance, deps: Deps): void {
  app.get<{ Params: { id: string } }>('/campaigns/:id/codes.csv', {
    exposeHeadRoute: false, // it would reveal every code, and give none
    handler: async (request, reply) => {
      const caller = await authenticate(deps, request.headers.authorization);
      if (caller.kind !== 'key' || !caller.scopes.has('CODES_REVEAL'))
        throw new Mistake('FORBIDDEN', 'codes.csv: needs the scope CODES_REVEAL');
      const { programId } = caller;
      const campaign = await campaignById(deps, { programId, id: request.params.id });
      if (!campaign) throw notFound('id', 'campaign');
      if (campaign.status === 'ISSUING')
        throw conflict('id: the campaign is being issued: wait until it is ISSUED or FAILED');
      const actor = `key:${caller.keyId}` as const;
      const campaignId = campaign.id as CampaignId;
      const file = Readable.from(exportCodes(deps, { programId, campaignId, actor }));
      file.on('error', (err) =>
        deps.log.error({ err, requestId: request.id }, 'a file of codes was cut off'),
      );
      return reply
        .type('text/csv; charset=utf-8')
        .header('content-disposition', `attachment; filename="campaign-${campaign.id}.csv"`)
        .header('cache-control', 'no-store')
        .send(file);
    },
  });
}
