/** What makes the tabs one walk: the answer of a step goes into the variables of the next ones. */
import { pick, useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect, useRef } from 'react';
import type { Example } from './examples.ts';
import { fill, learn, type Values } from './filling.ts';
import { hasCredential } from './page.ts';

const AFTER_TYPING_MS = 400;

type StepsProps = {
  examples: readonly Example[];
  values: Values;
  /** Fires an `answer` event for each answer. */
  answers: EventTarget;
  /** The reader's own key, typed into one tab, is meant for all of them. */
  sharesHeaders: boolean;
};

export function Steps({ examples, values, answers, sharesHeaders }: StepsProps) {
  useFilling({ examples, values, answers });
  useSharedHeaders(sharesHeaders);
  return null;
}

function useFilling({ examples, values, answers }: Omit<StepsProps, 'sharesHeaders'>) {
  const session = useGraphiQL(pick('tabs', 'activeTabIndex', 'variableEditor'));
  const latest = useRef(session);
  latest.current = session;
  useEffect(() => {
    let known = values;
    const onAnswer = (event: Event) => {
      const next = learn(known, (event as CustomEvent).detail);
      const { tabs, activeTabIndex, variableEditor } = latest.current;
      for (const [index, tab] of tabs.entries()) {
        const example = examples.find(({ name }) => name === tab.title);
        // A tab whose variables the reader has changed is the reader's.
        if (!example || tab.variables !== fill(example.variables, known)) continue;
        // In place: GraphiQL has an action for the active tab only, and reads the others when
        // shown.
        tab.variables = fill(example.variables, next);
        if (index === activeTabIndex && variableEditor?.getValue() !== tab.variables)
          variableEditor?.setValue(tab.variables);
      }
      known = next;
    };
    answers.addEventListener('answer', onAnswer);
    return () => answers.removeEventListener('answer', onAnswer);
  }, [examples, values, answers]);
}

function useSharedHeaders(isOn: boolean) {
  const session = useGraphiQL(pick('tabs', 'headerEditor', 'schema'));
  const { introspect } = useGraphiQLActions();
  const latest = useRef(session);
  latest.current = session;
  const { headerEditor } = session;
  useEffect(() => {
    if (!isOn || !headerEditor) return;
    let shared = headerEditor.getValue();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const typing = headerEditor.onDidChangeModelContent(({ isFlush }) => {
      // A flush is GraphiQL showing another tab: a new one does not know the key yet.
      if (isFlush) {
        // Afterwards, because an editor in the middle of a change must not be changed again.
        setTimeout(() => headerEditor.getValue() !== shared && headerEditor.setValue(shared));
        return;
      }
      shared = headerEditor.getValue();
      for (const tab of latest.current.tabs) tab.headers = shared;
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (!latest.current.schema && hasCredential(parsed(shared))) void introspect();
      }, AFTER_TYPING_MS);
    });
    return () => {
      clearTimeout(timer);
      typing.dispose();
    };
  }, [isOn, headerEditor, introspect]);
}

function parsed(headers: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(headers);
  } catch {
    return undefined; // in the middle of typing
  }
}
