# Passes this machine's own memory group to dockerd, which starts containers below it
sed -n 's#^[0-9]*:memory:\(.*\)/init.scope$#DOCKER_OPTS=--cgroup-parent=\1/docker#p' /proc/1/cgroup > /run/lab-docker.env
