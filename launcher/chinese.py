"""start.py's sentences in Chinese. Runs on Python 3.8; launcher/tests/test_words.py keeps it whole."""

# ruff: noqa: E501 - one sentence, one line

SENTENCES = {
    "Fetching Python 3.12 with uv …": "正在用 uv 获取 Python 3.12……",
    "Hearth needs Python 3.11 or later; this is {mine}.": "炉边需要 Python 3.11 或更新版本，当前是 {mine}。",
    "Its packages (Django 5.2, torch 2.13) are not made for older ones; no newer one was found.": (
        "它用到的软件包（Django 5.2、torch 2.13）不支持更旧的版本，本机也没有找到更新的 Python。"
    ),
    "Type this, it needs no root:  {line}": "请输入下面这一行（不需要 root 权限）：  {line}",
    "This is Python {mine}; going on with {found}: {program}": "当前 Python 为 {mine}；改用 {found}：{program}",
    "torch is left to pip": "torch 交给 pip 决定",
    "torch for macOS": "macOS 版 torch",
    "--torch {flag} was asked for": "由 --torch {flag} 指定",
    "on the CPU: nvidia-smi knows no NVIDIA card": "使用 CPU：nvidia-smi 没有找到 NVIDIA 显卡",
    "on the CPU: there is no CUDA build for {what}": "使用 CPU：{what} 没有 CUDA 版 torch",
    "driver {driver}, compute capability {cards}": "驱动 {driver}，计算能力 {cards}",
    "cards of {cards} are not used: no one build has all": "计算能力 {cards} 的显卡不会使用：没有一个版本能支持全部显卡",
    "on the CPU: driver {driver} is too old for this card; install {wanted} or later": (
        "使用 CPU：驱动 {driver} 对这块显卡来说太旧，请安装 {wanted} 或更新版本的驱动"
    ),
    "on the CPU: no build of torch runs on compute capability {cards}": "使用 CPU：没有支持计算能力 {cards} 的 torch",
    "  {what} Trying again in {pause:.0f} s.": "  {what}{pause:.0f} 秒后重试。",
    "{title}: exit status {code}": "{title}：退出状态 {code}",
    "failed": "失败",
    "The MySQL driver (mysqlclient) is compiled here and lacks MariaDB's or Python's headers.": (
        "MySQL 驱动（mysqlclient）需要在本机编译，但缺少 MariaDB 或 Python 的头文件。"
    ),
    "Type:  {line}": "请输入：  {line}",
    "The disk is full.": "磁盘已满。",
    "Make room (pip cache purge frees some), or take another folder with --data.": (
        "请腾出空间（pip cache purge 可以释放一些），或用 --data 换一个文件夹。"
    ),
    "The proxy that the environment names does not let this through.": "环境变量里的代理不放行这个请求。",
    "Look at http_proxy, https_proxy and ALL_PROXY; unset them, or put in one that works.": (
        "请检查 http_proxy、https_proxy 和 ALL_PROXY：取消它们，或换成可用的代理。"
    ),
    "A certificate was not accepted: a proxy may sit in the way, or the clock is wrong.": (
        "证书未被接受：中间可能有代理，或者系统时间不对。"
    ),
    "Give pip and npm your company's certificate: PIP_CERT and NODE_EXTRA_CA_CERTS.": (
        "请用 PIP_CERT 和 NODE_EXTRA_CA_CERTS 把公司的证书告诉 pip 和 npm。"
    ),
    "The connection broke, or there is none.": "网络连接中断，或没有网络。",
    "Run the same command again: what has come is kept. In China: --mirror cn.": (
        "请再次运行同一命令：已下载的内容会保留。在中国可加 --mirror cn。"
    ),
    "A file came damaged.": "下载的文件已损坏。",
    "Run the same command again, or take another --mirror.": "请再次运行同一命令，或换一个 --mirror。",
    "This Python cannot make environments: its venv part is not installed.": (
        "这个 Python 不能创建虚拟环境：没有安装 venv 部分。"
    ),
    "This Python belongs to the system and takes no packages.": "这个 Python 属于系统，不允许安装软件包。",
    "A file or folder may not be written by this user.": "当前用户不能写入某个文件或文件夹。",
    "Let the checkout and the data folder belong to you, or take another --data; do not use sudo.": (
        "请让代码目录和数据文件夹归您所有，或用 --data 换一个；不要使用 sudo。"
    ),
    "A package is compiled here, and the compiler failed.": "有一个软件包需要在本机编译，但编译失败。",
    "The package index has no such release for this Python and this machine.": (
        "软件源没有适合这个 Python 和这台机器的版本。"
    ),
    "Try --mirror none, or a Python from 3.11 to 3.13 (remove .venv first).": (
        "请试试 --mirror none，或使用 Python 3.11 到 3.13（先删除 .venv）。"
    ),
    "This Node.js is too old for the page.": "这个 Node.js 太旧，不能构建页面。",
    "Take it off the PATH: start.py then fetches its own.": "请把它从 PATH 中去掉：start.py 会自己获取一个。",
    "The memory was not enough; the system ended the step.": "内存不足，系统结束了这一步。",
    "Close other programs, or add swap, and run the same command again.": (
        "请关闭其他程序或增加交换空间，然后再次运行同一命令。"
    ),
    "yours": "您设置的",
    "mirror": "镜像",
    "the usual": "默认",
    ", does not answer": "，没有响应",
    "Installing the Python packages (minutes the first time)": "安装 Python 软件包（第一次需要几分钟）",
    "Making the Python environment (.venv)": "创建 Python 环境（.venv）",
    "Renewing pip": "更新 pip",
    "  the pip that is there will do": "  现有的 pip 也可以用",
    "  {what}: trying {other} instead": "  {what}：改用 {other}",
    "Removing the other torch": "移除另一个 torch",
    "Installing torch (the largest package)": "安装 torch（最大的软件包）",
    "  {what}: taking torch from where the other packages are": "  {what}：改从其他软件包的来源获取 torch",
    "  Node.js 20.19 or later was not found; taking one from a Python package": (
        "  没有找到 Node.js 20.19 或更新版本；改用 Python 软件包中的 Node.js"
    ),
    "Fetching Node.js (61 MB)": "获取 Node.js（61 MB）",
    "Node.js 20.19 or later is needed to build the page, and none could be fetched.": (
        "构建页面需要 Node.js 20.19 或更新版本，但没能获取到。"
    ),
    "Installing the page's packages": "安装页面的软件包",
    "Building the page": "构建页面",
    "The page is not built: cd frontend && npm install && npm run build": (
        "页面还没有构建：cd frontend && npm install && npm run build"
    ),
    "Collecting static files": "收集静态文件",
    "Preparing the database": "准备数据库",
    "Registering it": "登记模型",
    "Preparing the model {name}": "准备模型 {name}",
    "The default model is not there; going on without it.": "默认模型没有准备好；先继续运行。",
    "{python} lacks the packages: pip install -r requirements.txt": (
        "{python} 缺少软件包：pip install -r requirements.txt"
    ),
    "  {version} runs on the CPU: {why}": "  {version} 在 CPU 上运行：{why}",
    "Take a folder of Linux' own, as --data ~/hearth-data (Windows sees it as \\\\wsl$).": (
        "请使用 Linux 自己的文件夹，例如 --data ~/hearth-data（Windows 里可在 \\\\wsl$ 看到）。"
    ),
    "Take a folder on this machine's own disk, as --data /var/tmp/hearth-{user}.": (
        "请使用本机磁盘上的文件夹，例如 --data /var/tmp/hearth-{user}。"
    ),
    "{data} is on {kind}, where locks do not hold and a database would break.": (
        "{data} 位于 {kind} 上：那里的文件锁不可靠，数据库会损坏。"
    ),
    "{folder} belongs to another user; choose a shorter --data path": "{folder} 属于另一个用户；请用更短的 --data 路径",
    "{problem}; taking the next free one: {port}": "{problem}；改用下一个空闲端口：{port}",
    "{problem}. Choose another with --port, as --port {after}": "{problem}。请用 --port 换一个，例如 --port {after}",
    "{port} is no port; they go from 1 to 65535": "{port} 不是端口；端口从 1 到 65535",
    "Cannot listen on {host}, port {port}: {why}": "不能在 {host} 的端口 {port} 上监听：{why}",
    "Port {port} is taken by {owner}": "端口 {port} 已被 {owner} 占用",
    "Port {port} is taken": "端口 {port} 已被占用",
    "In your network: {urls}": "局域网地址：{urls}",
    "Without TLS passwords can be read on the way: --tls CERT KEY, or a proxy with TLS.": (
        "没有 TLS：途中的任何人都能读到密码。请用 --tls CERT KEY，或在前面放一个带 TLS 的代理。"
    ),
    "No screen here. From your own machine:  {line}": "这里没有屏幕。请在您自己的电脑上输入：  {line}",
    "and open {url} there.": "然后在那里打开 {url} 。",
    "--tls: {file} cannot be read": "--tls：无法读取 {file}",
    "Whether there is an administrator could not be found out.": "无法确定是否已有管理员。",
    "Making the administrator {name}": "创建管理员 {name}",
    "Nobody is the administrator yet: on {host} the first stranger would become it.": (
        "还没有管理员：在 {host} 上监听时，第一个陌生人会成为管理员。"
    ),
    "or set HEARTH_ADMIN_PASSWORD (and HEARTH_ADMIN_NAME, else admin), as in a container.": (
        "或设置 HEARTH_ADMIN_PASSWORD（以及 HEARTH_ADMIN_NAME；缺省为 admin），例如在容器中。"
    ),
    "HEARTH_PORT is {word}; it must be a number, as 8000": "HEARTH_PORT 是 {word}；它必须是数字，例如 8000",
    "it is still starting": "还在启动",
    "Hearth is running already: {url}": "炉边已在运行：{url}",
    "Hearth is ready: {url}   ({took:.1f} s; Ctrl-C stops it)": "炉边已就绪：{url}   （{took:.1f} 秒；按 Ctrl-C 停止）",
    "Hearth is ready: {url}": "炉边已就绪：{url}",
    "Starting Hearth; its words go to {log}": "正在启动炉边；输出写入 {log}",
    "stopped": "已停止",
    "Stopped.": "已停止。",
    "Hearth is not running.": "炉边没有在运行。",
    "It belongs to another user (pid {pid}).": "它属于另一个用户（pid {pid}）。",
    "ready": "就绪",
    "not ready": "未就绪",
    "{role} ended ({how}); starting it again in {delay:.1f} s": "{role} 已结束（{how}）；{delay:.1f} 秒后重新启动",
    "signal {code}": "信号 {code}",
    "exit status {code}": "退出状态 {code}",
    "not ready yet: {word}": "还未就绪：{word}",
    "A release is made from a git checkout; git does not know this folder.": "发布包要从 git 仓库制作；git 不认识这个文件夹。",
    "{target} ({size:.1f} MiB): unpack it and run python3 start.py": "{target}（{size:.1f} MiB）：解压后运行 python3 start.py",
    "{mine}; the processes use {theirs}": "{mine}，各进程使用：{theirs}",
    "none, and none is needed: the page is built": "没有，也不需要：页面已构建",
    "none that will do": "没有可用的",
    "start.py fetches one into .venv; nothing to do.": "start.py 会把它获取到 .venv 中，无需处理。",
    "{free:.1f} GiB free at {home} ({kind})": "{home} 剩余 {free:.1f} GiB（{kind}）",
    "Disk": "磁盘",
    "Little room: make some, or take another folder with --data.": "空间不足：请清理，或用 --data 换一个文件夹。",
    "Memory": "内存",
    "{free:.1f} of {total:.1f} GiB free, {count} CPUs": "可用 {free:.1f} / 共 {total:.1f} GiB，{count} 个 CPU",
    "Little memory is free: close other programs, or take a smaller model.": "可用内存不多：请关闭其他程序，或使用更小的模型。",
    "GPU driver": "显卡驱动",
    "none that nvidia-smi knows": "nvidia-smi 没有找到",
    "A driver is loaded, but nvidia-smi does not answer: install the driver's utilities.": (
        "驱动已加载，但 nvidia-smi 没有响应：请安装驱动自带的工具。"
    ),
    "{name}: {free} of {total} MiB free": "{name}：空闲 {free} / 共 {total} MiB",
    "A card is here; this build fits it: python3 start.py --torch {build}": (
        "本机有显卡，适合它的版本：python3 start.py --torch {build}"
    ),
    "{version}, CPU: {why}": "{version}，CPU：{why}",
    "not installed": "未安装",
    "python3 start.py installs it.": "python3 start.py 会安装它。",
    "SQLite in the data folder": "数据文件夹中的 SQLite",
    "Database": "数据库",
    "See DATABASE_URL in README.": "请看 README 中的 DATABASE_URL。",
    "not used": "未使用",
    "Start it (sudo systemctl start redis), or unset REDIS_URL: one machine needs none.": (
        "请启动它（sudo systemctl start redis），或取消 REDIS_URL：单机不需要 Redis。"
    ),
    "Port {port}": "端口 {port}",
    "start.py takes the next free one, or the one of --port.": "start.py 会用下一个空闲端口，或 --port 指定的端口。",
    "Stop what is there, or choose another with --port.": "请停止占用它的程序，或用 --port 换一个端口。",
    "Hearth's own": "炉边正在使用",
    "free": "空闲",
    "Packages": "软件包",
    "Mirror": "镜像",
    "Hub": "模型社区",
    "No hub answers: models can be copied into a folder and added by its path.": (
        "没有模型社区响应：可以把模型复制到文件夹，再按路径添加。"
    ),
    "Nothing answers: look at the network and https_proxy, or try --mirror cn.": (
        "都没有响应：请检查网络和 https_proxy，或试试 --mirror cn。"
    ),
    "Hearth": "炉边",
    "not running": "没有在运行",
    "{url}, models in memory: {count}": "{url}，内存中的模型：{count} 个",
    "Answer": "回答速度",
    "the default model is not there yet": "默认模型还没有准备好",
    "python3 start.py prepares it.": "python3 start.py 会准备它。",
    "{model} did not answer": "{model} 没有回答",
    "Look into start.py logs inference.": "请看 start.py logs inference。",
    "{model}: {speed:.1f} tokens/s": "{model}：{speed:.1f} 词元/秒",
    "System": "系统",
    "To be mended: {wrong}": "需要处理：{wrong} 处",
    "{what}: not looked at without the packages": "{what}：软件包尚未安装，未检查",
    "See the database's line above.": "请看上面数据库一行。",
    "{model} is measured while Hearth runs": "{model}：炉边运行时才能测速",
    "All is well.": "一切正常。",
    "There is no folder {folder} (--models)": "没有文件夹 {folder}（--models）",
    "  Models in {folder}": "  {folder} 中的模型",
    "  Qwen3-0.6B (1.5 GB, speaks Chinese) follows in the background where a hub answers;": (
        "  如果能连上模型站，会在后台下载 Qwen3-0.6B（1.5 GB，会说中文）；"
    ),
    "  --no-first-download leaves it": "  不需要时请加 --no-first-download",
    "Start Hearth on this machine and keep it running until Ctrl-C.": "在本机启动炉边，一直运行到按下 Ctrl-C。",
    "the data folder (default: ./data beside start.py)": "数据文件夹（默认：start.py 旁边的 ./data）",
    "the address to listen on (default: 127.0.0.1)": "监听的地址（默认：127.0.0.1）",
    "the port of the page (default: 8000)": "页面的端口（默认：8000）",
    "serve https with this certificate and key": "用这个证书和密钥提供 https",
    "use this Python and the built page as they are": "直接使用当前 Python 和已构建的页面",
    "the language of start.py": "start.py 的语言",
    "do not open a browser": "不打开浏览器",
    "where packages and models come from: cn, none, auto": "软件包和模型的来源：cn（国内镜像）、none、auto",
    "the build of torch, instead of what fits": "指定 torch 的版本，而不是自动选择",
    "a folder whose models are used where they lie": "一个文件夹，其中的模型原地使用",
    "do not fetch Qwen3-0.6B in the background for a new house": "新安装时不在后台下载 Qwen3-0.6B",
    "return once it is ready": "就绪后返回，在后台继续运行",
    "what start.py does without a command": "与不带命令的 start.py 相同",
    "run one role in the foreground": "在前台运行一个角色",
    "stop what runs on the data folder": "停止使用该数据文件夹的炉边",
    "what runs on the data folder": "使用该数据文件夹的炉边的状态",
    "the last lines of the logs": "日志的最后几行",
    "what this machine has, on one screen": "用一屏显示本机的情况",
    "an archive that carries the built page": "带有已构建页面的发布包",
    "default: hearth-VERSION.tar.gz here": "默认：当前目录下的 hearth-VERSION.tar.gz",
    "make an administrator": "创建管理员",
    "every check; with arguments only pytest, with those": "运行全部检查；带参数时只用这些参数运行 pytest",
}

#: argparse's own words, by what it asks gettext for.
ARGPARSE = {
    "usage: ": "用法：",
    "options": "选项",
    "positional arguments": "参数",
    "show this help message and exit": "显示本帮助并退出",
    "%(prog)s: error: %(message)s\n": "%(prog)s：错误：%(message)s\n",
    "argument %(argument_name)s: %(message)s": "参数 %(argument_name)s：%(message)s",
    "expected one argument": "需要一个值",
    "invalid %(type)s value: %(value)r": "%(value)r 不是有效的 %(type)s",
    "invalid choice: %(value)r (choose from %(choices)s)": "没有 %(value)r 这个选择（可选：%(choices)s）",
    "the following arguments are required: %s": "缺少参数：%s",
    "unrecognized arguments: %s": "不认识的参数：%s",
    "ambiguous option: %(option)s could match %(matches)s": "选项 %(option)s 不明确，可能是：%(matches)s",
}
