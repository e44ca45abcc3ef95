import { ICodeCellModel } from '@jupyterlab/cells';
import { NotebookPanel } from '@jupyterlab/notebook';
import { IOutputModel } from '@jupyterlab/rendermime';
import { Session } from '@jupyterlab/services';

const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';

interface IWidgetView {
  model_id: string;
}

/** The outputs that refer to a widget of ours: those of lessons, and those below answers. */
function widgetOutputs(notebook: NotebookPanel): IOutputModel[] {
  const found: IOutputModel[] = [];
  for (const cell of notebook.context.model.cells) {
    if (cell.type === 'code') {
      const { outputs } = cell as ICodeCellModel;
      for (let at = 0; at < outputs.length; at++) {
        const output = outputs.get(at);
        const ours = cell.getMetadata('alain') || output.metadata.alain;
        if (ours && WIDGET_VIEW in output.data) {
          found.push(output);
        }
      }
    }
  }
  return found;
}

/** The ids of the widgets that the kernel of an open notebook still holds. */
async function liveWidgets(
  notebook: NotebookPanel,
  sessions: Session.IManager
): Promise<Set<string>> {
  await sessions.ready;
  if (!(await sessions.findByPath(notebook.context.path))) {
    return new Set(); // a kernel that is yet to start holds none
  }
  await notebook.sessionContext.ready;
  const kernel = notebook.sessionContext.session?.kernel;
  const reply = await kernel?.requestCommInfo({ target_name: 'jupyter.widget' });
  return new Set(
    reply?.content.status === 'ok' ? Object.keys(reply.content.comms) : []
  );
}

/**
 * Drop references to widgets that are gone from a notebook that was just opened.
 *
 * A widget lives only as long as its kernel. Without the reference, the text that
 * stands beside it is shown, instead of an error. What runs later is left alone,
 * and so is the mark that says whether the notebook has to be saved.
 */
export async function showStoredViews(
  notebook: NotebookPanel,
  sessions: Session.IManager
): Promise<void> {
  await notebook.context.ready;
  const outputs = widgetOutputs(notebook);
  if (outputs.length === 0) {
    return;
  }
  const live = await liveWidgets(notebook, sessions);
  const { model } = notebook.context;
  const { dirty } = model;
  for (const output of outputs) {
    const { [WIDGET_VIEW]: view, ...data } = output.data;
    if (!live.has((view as unknown as IWidgetView).model_id)) {
      output.setData({ data });
    }
  }
  model.dirty = dirty;
}
