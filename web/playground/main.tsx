import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './style.css';
import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';
import { examples } from './examples.ts';
import { createFetcher } from './fetcher.ts';
import { fill } from './filling.ts';
import icon from './icon.svg';
import { keeping } from './keeping.ts';
import { headersFor, readPage } from './page.ts';
import { Steps } from './steps.tsx';

const { key, values = {} } = readPage();
const headers = headersFor(key);
const answers = new EventTarget();
const fetcher = createFetcher({
  headers,
  onAnswer: (answer) => answers.dispatchEvent(new CustomEvent('answer', { detail: answer })),
});
const tabs = examples.map(({ query, variables }) => ({
  query,
  variables: fill(variables, values),
}));

createRoot(document.getElementById('root') as HTMLElement).render(
  <GraphiQL
    fetcher={fetcher}
    storage={keeping}
    shouldPersistHeaders={false}
    defaultTabs={tabs}
    defaultHeaders={JSON.stringify(headers, null, 2)}
    defaultEditorToolsVisibility={key === undefined ? 'headers' : 'variables'}
  >
    <GraphiQL.Logo>
      <span className="flash-logo">
        <img src={icon} alt="" /> Flash playground
      </span>
    </GraphiQL.Logo>
    <Steps examples={examples} values={values} answers={answers} sharesHeaders={!key} />
  </GraphiQL>,
);
