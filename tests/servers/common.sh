# Shared by up, down and run. Ports away from the servers' own, so that these run beside a real one.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${LOSSRANK_PYTHON:-python3}
rubrix_port=${LOSSRANK_RUBRIX_PORT:-16900}
argilla_port=${LOSSRANK_ARGILLA_PORT:-16901}
argilla1_port=${LOSSRANK_ARGILLA1_PORT:-16902}
labelstudio_port=${LOSSRANK_LABELSTUDIO_PORT:-18080}
opensearch_port=${LOSSRANK_OPENSEARCH_PORT:-9291} # its runner takes 9201 to 9299
redis_port=${LOSSRANK_REDIS_PORT:-16379}

pid_of() { # DIR, name: prints the process id of a running server; a recycled id does not count
    local pid
    pid=$(cat "$1/$2.pid" 2> /dev/null) || return 1
    case $(ps -o args= -p "$pid" 2> /dev/null) in *"$1"*) echo "$pid" ;; *) return 1 ;; esac
}
