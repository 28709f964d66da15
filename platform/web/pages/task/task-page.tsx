import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { withPlace } from "../../log/log-address.ts";
import { LogView } from "../../log/log-view.tsx";
import { PageHead } from "../../parts/panels.tsx";

const route = "/t/$tenant/dags/$dag/runs/$run/tasks/$task";

export function TaskPage() {
  const params = useParams({ from: route });
  const { map, try: tryNumber, ...place } = useSearch({ from: route });
  const navigate = useNavigate();
  return (
    <div className="flex h-full flex-col">
      <PageHead title={params.task} />
      <LogView
        {...params}
        mapIndex={map ?? -1}
        tryNumber={tryNumber ?? 1}
        place={place}
        onPlace={(next) =>
          void navigate({
            to: route,
            params,
            search: (old) => withPlace(old, next),
            replace: true,
          })
        }
      />
    </div>
  );
}
