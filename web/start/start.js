// The start page: sends one message to POST v1/triage and explains what came back.
//
// Every text that the server (and so, in the end, a customer) wrote enters the page as a text node: nothing here parses
// markup. Widths are set through the CSSOM and there is no inline script or style, so that
// `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:` is enough.
// Addresses are relative to the page, so it also works behind a path prefix.
//
// Deep link: `?text=...` fills the message in, `&run=1` sends it, `&ui=zh|en` chooses the language of the page for this visit.

// ---------------------------------------------------------------------------------------------------------- words
// Half of the file is what the page says, in both languages of its readers. A table that the server chooses from (actions,
// reasons, intents, stages, ...) may miss a key: the page then shows the id itself.

const WORDS = {
  en: {
    title: "Fenzhen · triage for customer support",
    skip: "Skip to the message",
    links: "Links", link_desk: "Desk", link_docs: "API docs", link_metrics: "Metrics", link_ready: "Readiness",
    ui_language: "Language of this page",
    headline: "A message in, a decision with its reasons out.",
    lede: "Type what a customer might write, in Chinese or English. You see what was understood, what it was compared with, and why it is answered or handed to a person.",
    message_label: "The customer’s message",
    placeholder: "e.g. The parcel says delivered but there is nothing at my door",
    hint: "{key} to send",
    count: (n) => `${n} ${n === 1 ? "character" : "characters"}`,
    go: "Triage it", going: "Working…", clear: "Clear",
    examples: "Or take one of these",
    empty_message: "Type a message first, or take one of the examples.",
    result: "Result",
    ready: "Ready", loading: "Models are loading", unreachable: "Not reachable",

    idle_title: "Every message takes one of three ways",
    idle_note: "When the machine is unsure, a person answers. A fault never raises automation.",
    action: { auto_reply: "Automatic reply", suggest: "Suggestion", handoff: "Hand-off" },
    lane: {
      auto_reply: "The answer is certain enough: it is sent, in the words of an article.",
      suggest: "A draft lies ready; an agent reads it and decides.",
      handoff: "A person takes over, and sees why.",
    },
    headline_action: {
      auto_reply: "The machine may answer this.",
      suggest: "An agent should look at this draft.",
      handoff: "This goes to a person.",
    },
    unknown_action: "An action that this page does not know.",
    decision: "Decision",
    reply_right: "probability that the reply is right",
    policy: "Policy",
    why: "Why",
    no_reason_given: "No reason was given.",
    no_reasons: "Nothing speaks against it: the intent and the answer are as probable as the policy asks.",
    reason: {
      customer_request: ["The customer asks for a person", "Someone who asks for a human gets one; no machine stands in between."],
      sensitive_topic: ["A sensitive topic", "The message holds a word or an intent (a complaint, money back and the like) that the policy leaves to people."],
      low_confidence: ["Not sure enough", "The intent or the answer is less probable than the precision that the policy promises."],
      missing_knowledge: ["No article answers this", "The knowledge base holds nothing that fits, and the machine may only say what a source says."],
      out_of_scope: ["Not a matter for this shop", "It looks like nothing that the shop’s support answers."],
      policy_restriction: ["The policy does not allow it here", "For this intent, language or channel the machine may not answer by itself."],
      tool_failure: ["A part failed or was too slow", "The encoder, the index or the store did not deliver, so automation was lowered. See the metrics and the log."],
    },
    reason_unknown: "A reason that this page has no words for.",

    reply: "What would be said",
    reply_sent: "Sent to the customer", reply_draft: "A draft for the agent", reply_not_sent: "Found, but not sent",
    no_reply: "Nothing: there is no reply fit to be sent.",
    no_reply_handoff: "Nothing is said by the machine: a person answers.",
    sources: "Sources", generator: "Written by",
    generator_article: "the article’s own words",

    message: "What was read",
    no_entities: "No products, order numbers, amounts or dates were found in it.",
    entity_type: "Type", entity_text: "Text", entity_value: "Read as", entity_conf: "Probability",
    entity: { PRODUCT: "product", BRAND: "brand", MODEL: "model", COLOR: "colour", SIZE: "size", FLAVOR: "flavour", MATERIAL: "material", SPEC: "spec", ORDER_ID: "order no.", TRACKING_NO: "tracking no.", PHONE: "phone", EMAIL: "e-mail", AMOUNT: "amount", DATE: "date" },
    products: "Products it may speak of", product_match: "share of the named attributes that it carries",

    intent: "Intent",
    runners_up: "Runners-up", nothing_fits: "none of the shop’s intents",
    evidence: "Terms that spoke for it", evidence_note: "weight in log-odds against the other intents",
    no_evidence: "No single term stood out.",
    neighbours: "The nearest training messages",
    path: { fast: "sparse terms only", full: "terms and sentence encoder" },
    lang: { zh: "Chinese", en: "English" },
    mode: { fast: "fast", full: "full", auto: "auto" },

    similar: "Similar past tickets", no_similar: "No past ticket is like it.", resolution: "Solved by",
    same_problem: "probability that it is the same problem",
    articles: "Articles", no_articles: "No article was found.",
    answers_it: "probability that it answers the message",
    score: "rank score", score_note: "fused rank score: comparable within this answer only",

    time: "Time", round_trip: "seen from this page",
    stage: { receive: "receive", clean: "clean", classify: "classify", entities: "entities", encode: "encode", retrieve: "retrieve", reply: "reply", decide: "decide", total: "total" },
    time_rest: "everything else",
    models: "Versions", model: { classifier: "classifier", ner: "entities", encoder: "encoder", gate: "gate", generator: "generator" },
    not_used: "not used",

    developers: "For developers",
    curl: "The same from a shell", raw: "Answer as JSON", copy: "Copy", copied: "Copied", copy_failed: "Select it and copy by hand",
    share: "Copy a link to this message",
    request_id: "Request", triage_id: "Triage",

    slow: "Still working. The first message after a start takes longer.",
    failed: "That did not work",
    network_title: "The service does not answer",
    network_detail: "No connection could be made to {url}.",
    network_hint: "Check that “fenzhen serve” is still running and that this page was opened at its address; then try again.",
    timeout_title: "No answer within {s} seconds",
    timeout_hint: "The service may be overloaded or still loading. Look at the readiness page, then try again.",
    garbled_title: "The answer could not be read",
    garbled_hint: "Something other than Fenzhen may have answered, for example a proxy in front of it.",
    status_hint: {
      401: "The service asks for an API key. Enter one below: it stays in this tab and goes nowhere else.",
      403: "This API key may not do that. Try another one.",
      404: "There is no triage service at this address. Is the page served by Fenzhen itself?",
      413: "The message is longer than the service accepts. Send the part that matters.",
      429: "More requests came in than the service takes at once. Nothing is lost; try again in a moment.",
      502: "The proxy got no answer from the service.",
      503: "The service is still loading its models, or shutting down. Try again in a moment.",
      timeout: "The service gave up because the request took too long. Try again; a shorter message helps.",
    },
    what_to_do: "What to do", code: "Code", status: "Status",
    retry: "Try again", retry_in: (n) => `Try again (${n} s)`,
    key_label: "API key", key_use: "Use this key and try again",
    key_in_use: "An API key is in use for this tab.", key_forget: "Forget it",
    said: "Decision: {action}. {why} Intent: {intent}, {p}.",
    said_failed: "Failed: {title}. {detail}",
  },
  zh: {
    title: "分诊 Fenzhen · 客服消息分诊",
    skip: "跳到消息输入框",
    links: "链接", link_desk: "工作台", link_docs: "接口文档", link_metrics: "指标", link_ready: "就绪状态",
    ui_language: "页面语言",
    headline: "一条消息进来，给出有理有据的决定。",
    lede: "输入一句顾客可能会说的话，中文英文都行。你会看到：系统读懂了什么、拿什么作了比较、为什么直接回答或转给人工。",
    message_label: "顾客的消息",
    placeholder: "例如：显示已签收，可是门口什么都没有",
    hint: "{key} 发送",
    count: (n) => `${n} 字`,
    go: "开始分诊", going: "正在分诊…", clear: "清空",
    examples: "或者试试这些",
    empty_message: "先写一句话，或者点一个例子。",
    result: "结果",
    ready: "已就绪", loading: "模型加载中", unreachable: "连接不上",

    idle_title: "每条消息，三条去路",
    idle_note: "拿不准，就交给人。任何故障都不会让机器多做主。",
    action: { auto_reply: "自动回复", suggest: "建议回复", handoff: "转人工" },
    lane: {
      auto_reply: "把握足够大：直接用知识库文章的原话答复。",
      suggest: "草稿已备好，由客服看过再决定。",
      handoff: "由人接手，并看得到原因。",
    },
    headline_action: {
      auto_reply: "这条可以由机器直接回答。",
      suggest: "这份草稿请客服过目。",
      handoff: "这条交给人工处理。",
    },
    unknown_action: "本页不认识的处理方式。",
    decision: "决定",
    reply_right: "回复正确的概率",
    policy: "策略",
    why: "原因",
    no_reason_given: "没有给出原因。",
    no_reasons: "没有反对的理由：意图和答案的概率都达到了策略的要求。",
    reason: {
      customer_request: ["顾客要求人工", "顾客明确要找人，就直接给人，机器不挡在中间。"],
      sensitive_topic: ["敏感话题", "消息里有策略规定必须由人处理的词或意图（如投诉、退款等）。"],
      low_confidence: ["把握不够", "意图或答案的概率低于策略承诺的准确率。"],
      missing_knowledge: ["知识库里没有答案", "没有合适的文章；没有出处的话，机器不能说。"],
      out_of_scope: ["不属于本店业务", "看起来不是本店客服会回答的事情。"],
      policy_restriction: ["策略不允许", "在这个意图、语言或渠道下，机器不能自行回答。"],
      tool_failure: ["有部件出错或太慢", "编码器、索引或存储没有按时给出结果，因此降低了自动化程度。请查看指标和日志。"],
    },
    reason_unknown: "本页没有收录这个原因的说明。",

    reply: "会怎么回答",
    reply_sent: "发给顾客", reply_draft: "给客服的草稿", reply_not_sent: "找到了，但不发送",
    no_reply: "没有：没有合适的话可以发出。",
    no_reply_handoff: "机器什么也不说，由人来回答。",
    sources: "出处", generator: "来源",
    generator_article: "文章原话",

    message: "读到了什么",
    no_entities: "没有找到商品、单号、金额或日期。",
    entity_type: "类型", entity_text: "原文", entity_value: "理解为", entity_conf: "概率",
    entity: { PRODUCT: "商品", BRAND: "品牌", MODEL: "型号", COLOR: "颜色", SIZE: "尺码", FLAVOR: "口味", MATERIAL: "材质", SPEC: "规格", ORDER_ID: "订单号", TRACKING_NO: "运单号", PHONE: "电话", EMAIL: "邮箱", AMOUNT: "金额", DATE: "日期" },
    products: "可能说的商品", product_match: "与消息中提到的属性相符的比例",

    intent: "意图",
    runners_up: "其他可能", nothing_fits: "不属于任何意图",
    evidence: "支持它的词", evidence_note: "相对其他意图的对数几率",
    no_evidence: "没有特别突出的词。",
    neighbours: "最相近的训练消息",
    path: { fast: "仅稀疏词特征", full: "词特征与句向量" },
    lang: { zh: "中文", en: "英文" },
    mode: { fast: "快速", full: "完整", auto: "自动" },

    similar: "相似的历史工单", no_similar: "没有相似的历史工单。", resolution: "当时的处理",
    same_problem: "属于同一问题的概率",
    articles: "知识库文章", no_articles: "没有找到文章。",
    answers_it: "能回答这条消息的概率",
    score: "排序分", score_note: "融合后的排序分，只能在这一次结果内比较",

    time: "耗时", round_trip: "从本页看到的往返",
    stage: { receive: "接收", clean: "清洗", classify: "意图分类", entities: "实体识别", encode: "句向量编码", retrieve: "检索", reply: "回复", decide: "决策", total: "合计" },
    time_rest: "其余",
    models: "版本", model: { classifier: "分类器", ner: "实体", encoder: "编码器", gate: "决策门", generator: "生成器" },
    not_used: "未使用",

    developers: "给开发者",
    curl: "在命令行里做同样的事", raw: "JSON 原文", copy: "复制", copied: "已复制", copy_failed: "请手动选中复制",
    share: "复制这条消息的链接",
    request_id: "请求", triage_id: "分诊",

    slow: "还在处理。刚启动后的第一条会慢一些。",
    failed: "没有成功",
    network_title: "服务没有应答",
    network_detail: "无法连接到 {url}。",
    network_hint: "请确认 fenzhen serve 还在运行，并且本页是从它的地址打开的，然后重试。",
    timeout_title: "{s} 秒内没有应答",
    timeout_hint: "服务可能过载，或还在加载模型。请先看就绪状态，再重试。",
    garbled_title: "读不懂返回的内容",
    garbled_hint: "应答的可能不是 Fenzhen，比如它前面的代理。",
    status_hint: {
      401: "服务需要 API 密钥。请在下面输入：只留在这个标签页里，不会发到别处。",
      403: "这个密钥没有权限，请换一个。",
      404: "这个地址上没有分诊服务。本页是由 Fenzhen 自己提供的吗？",
      413: "消息太长，超过了服务的上限。只发关键的部分即可。",
      429: "请求太多，服务一时接不下。什么都没有丢，稍后再试。",
      502: "代理没有得到服务的应答。",
      503: "服务还在加载模型，或正在关闭。稍后再试。",
      timeout: "处理时间过长，服务放弃了这次请求。请重试，消息短一些会更快。",
    },
    what_to_do: "怎么办", code: "代码", status: "状态码",
    retry: "重试", retry_in: (n) => `重试（${n} 秒）`,
    key_label: "API 密钥", key_use: "用这个密钥重试",
    key_in_use: "这个标签页正在使用 API 密钥。", key_forget: "忘掉它",
    said: "决定：{action}。{why}意图：{intent}，{p}。",
    said_failed: "没有成功：{title}。{detail}",
  },
};

// The shipped taxonomy in short words, [zh, en]; an intent that a company trained itself is shown by its id.
const INTENTS = {
  order_status: ["查询订单状态", "Order status"], order_change: ["修改订单", "Change an order"], order_cancel: ["取消订单", "Cancel an order"],
  order_help: ["下单遇到问题", "Help with ordering"], shipping_time: ["发货与时效", "Shipping time"], delivery_tracking: ["查物流进度", "Parcel tracking"],
  delivery_address: ["改收货地址", "Change the address"], delivery_missing: ["未收到或丢件", "Parcel missing"], shipping_fee: ["运费", "Shipping fee"],
  refund_request: ["申请退款", "Wants a refund"], refund_status: ["退款进度", "Refund status"], return_request: ["申请退货", "Wants to return"],
  exchange_request: ["申请换货", "Wants an exchange"], return_policy: ["退换规则", "Return rules"], product_info: ["商品参数与成分", "Product details"],
  size_advice: ["尺码建议", "Size advice"], stock: ["库存与补货", "Stock"], price: ["价格咨询", "Price"], recommendation: ["求推荐与比较", "Recommendation"],
  usage_help: ["使用方法", "How to use it"], quality_issue: ["质量问题", "Quality issue"], damaged: ["收到破损", "Arrived damaged"],
  wrong_item: ["发错少发", "Wrong or missing item"], warranty_repair: ["保修维修", "Warranty and repair"], installation: ["安装服务", "Installation"],
  payment_failed: ["支付失败", "Payment failed"], payment_method: ["支付方式", "Payment methods"], coupon: ["优惠券", "Coupon"],
  promotion: ["活动规则", "Promotion rules"], price_protection: ["价保补差", "Price protection"], invoice: ["发票", "Invoice"],
  login_problem: ["登录与验证码", "Sign-in problem"], account_change: ["修改账户信息", "Change account data"], account_delete: ["注销与隐私", "Account deletion, privacy"],
  membership: ["会员与积分", "Membership and points"], complaint: ["投诉", "Complaint"], human_agent: ["转人工", "Asks for a person"],
  praise: ["表扬与建议", "Praise or suggestion"], greeting: ["问候", "Greeting"], closing: ["感谢与结束", "Thanks and goodbye"], out_of_scope: ["超出范围", "Out of scope"],
};
const CATEGORIES = {
  order: ["订单", "Orders"], logistics: ["物流", "Shipping and delivery"], returns: ["退换货", "Returns and refunds"], product: ["商品咨询", "Product questions"],
  aftersales: ["售后", "After-sales"], payment: ["支付与优惠", "Payment and offers"], account: ["账户与会员", "Account and membership"], service: ["服务", "Service"],
};

const EXAMPLES = {
  zh: [
    "买的粉色XL码羽绒服还没发货,什么时候能到?",
    "电子发票抬头写错了，能重开吗",
    "拆封了的面霜还能退不",
    "退款拖了半个月没人管，我要投诉！",
    "明天杭州会下雨吗",
  ],
  en: [
    "My parcel says delivered but there is nothing at the door",
    "I was charged twice ($39.90) for order 2026111804317",
    "can i pay in instalments? n how many months",
    "Stop the bot, let me talk to a real person",
  ],
};

const ENTITY_GROUP = {
  PRODUCT: "thing", BRAND: "thing", MODEL: "thing",
  COLOR: "trait", SIZE: "trait", FLAVOR: "trait", MATERIAL: "trait", SPEC: "trait",
  ORDER_ID: "id", TRACKING_NO: "id", PHONE: "id", EMAIL: "id",
  AMOUNT: "figure", DATE: "figure",
};
const ACTIONS = ["auto_reply", "suggest", "handoff"];
const TIMEOUT_S = 60;

// ---------------------------------------------------------------------------------------------------------- state

const $ = (id) => document.getElementById(id);
const params = new URLSearchParams(location.search);

// Storage may be denied (private windows, embedded pages): the page then forgets, and works.
const memory = {
  get(store, key) { try { return window[store].getItem(key); } catch { return null; } },
  set(store, key, value) {
    try { if (value === null) window[store].removeItem(key); else window[store].setItem(key, value); } catch { /* forgets */ }
  },
};

let ui = firstLanguage();
let apiKey = memory.get("sessionStorage", "fenzhen.key");
// What the answer side shows: idle | busy | done {text, answer, requestId, tookMs} | failed {text, problem}.
let view = { kind: "idle" };
let service = "unknown";
let running = null;

function firstLanguage() {
  for (const wanted of [params.get("ui"), memory.get("localStorage", "fenzhen.ui")]) if (wanted in WORDS) return wanted;
  return (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
}

const t = (key) => WORDS[ui][key];
const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
// A table may be asked for a word that the server chose: only its own keys count ("constructor" is not one).
const own = (table, key) => (typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined);
const named = (table, id) => own(table, id)?.[ui === "zh" ? 0 : 1] ?? String(id ?? "");
const list = (value) => (Array.isArray(value) ? value.filter((row) => row !== null && typeof row === "object") : []);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

// ------------------------------------------------------------------------------------------------------- building

/** An element. `null` and `false` children are left out; strings become text nodes, never markup. */
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A probability in whole percent: more digits would claim more than a calibration can know. */
function percent(p) {
  if (!isNumber(p)) return "–";
  if (p > 0 && p < 0.01) return "<1%";
  if (p < 1 && p > 0.99) return ">99%";
  return `${Math.round(p * 100)}%`;
}

function milliseconds(ms) {
  if (!isNumber(ms)) return "–";
  if (ms < 0.1) return `${Math.round(ms * 1000)} µs`;
  return `${ms < 10 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

const share = (p) => String(Math.min(1, Math.max(0, isNumber(p) ? p : 0)));

function card(className, title, aside, ...children) {
  return h("section", { class: `card ${className}` }, h("div", { class: "card-head" }, h("h3", {}, title), aside ?? null), ...children);
}

const meter = (p) => h("span", { class: "meter", "aria-hidden": "true" }, h("span", { "--share": share(p) }));
const muted = (text) => h("p", { class: "muted" }, text);
const chance = (p, meaning) => h("span", { class: "chance", title: meaning }, percent(p), h("span", { class: "sr" }, ` ${meaning}`));

// ------------------------------------------------------------------------------------------------- the answer side

function idleView() {
  return h("div", { class: "idle" },
    h("h2", {}, t("idle_title")),
    h("ol", { class: "lanes" }, ACTIONS.map((action) =>
      h("li", { class: "lane", "data-action": action },
        h("span", { class: "lane-name" }, t("action")[action]),
        h("span", { class: "lane-text" }, t("lane")[action])))),
    h("p", { class: "idle-note" }, t("idle_note")));
}

function busyView() {
  return h("div", { class: "busy" },
    h("div", { class: "ghost tall" }), h("div", { class: "ghost" }),
    h("div", { class: "ghost-pair" }, h("div", { class: "ghost" }), h("div", { class: "ghost" })),
    h("p", { class: "muted slow", id: "slow" }));
}

function doneView({ text, answer, requestId, tookMs }) {
  return h("div", { class: "slip", "data-action": own(t("action"), answer.decision?.action) ? answer.decision.action : "unknown" },
    decisionCard(answer),
    h("div", { class: "cards" },
      replyCard(answer), messageCard(text, answer), intentCard(answer), articlesCard(answer), timeCard(answer, tookMs),
      similarCard(answer), modelsCard(answer, requestId), developersCard(text, answer)));
}

function decisionCard({ decision, reply }) {
  const action = decision?.action;
  const known = own(t("action"), action);
  const reasons = Array.isArray(decision?.reasons) ? decision.reasons : [];
  return h("section", { class: "decision", "aria-labelledby": "decision-title" },
    h("ol", { class: "track", "aria-hidden": "true" }, ACTIONS.map((each) =>
      h("li", { "data-action": each, class: each === action ? "on" : null }, t("action")[each]))),
    h("div", { class: "verdict" },
      h("h2", { id: "decision-title" },
        h("span", { class: known ? "sr" : "badge" }, known ? `${known}: ` : String(action ?? "–")),
        own(t("headline_action"), action) ?? t("unknown_action")),
      reply && isNumber(decision?.confidence)
        ? h("p", { class: "big-chance" }, h("strong", {}, percent(decision.confidence)), h("span", {}, t("reply_right")))
        : null),
    reasons.length > 0
      ? h("ul", { class: "reasons", "aria-label": t("why") }, reasons.map(reasonRow))
      : h("p", { class: "no-reasons" }, t(action === "auto_reply" ? "no_reasons" : "no_reason_given")),
    h("p", { class: "policy" }, `${t("policy")} `, h("code", {}, String(decision?.policy ?? "–"))));
}

function reasonRow(code) {
  const [short, long] = own(t("reason"), code) ?? [String(code), t("reason_unknown")];
  return h("li", {}, h("strong", {}, short), h("code", {}, String(code)), h("span", { class: "reason-text" }, long));
}

function replyCard({ reply, decision }) {
  if (!reply) return card("wide reply none", t("reply"), null, muted(decision?.action === "handoff" ? t("no_reply_handoff") : t("no_reply")));
  const status = { auto_reply: "reply_sent", suggest: "reply_draft" }[decision?.action] ?? "reply_not_sent";
  const sources = Array.isArray(reply.sources) ? reply.sources : [];
  return card("wide reply", t("reply"), h("span", { class: "tag" }, t(status)),
    h("blockquote", { class: "words" }, String(reply.text ?? "")),
    h("p", { class: "meta" },
      h("span", {}, `${t("sources")} `, sources.map((id) => h("code", {}, String(id)))),
      h("span", {}, `${t("generator")} `, reply.generator === "article" ? t("generator_article") : h("code", {}, String(reply.generator ?? "–"))),
      h("span", {}, `${t("reply_right")} `, h("strong", {}, percent(reply.confidence)))));
}

function messageCard(text, { entities, products, lang }) {
  const found = list(entities);
  const aside = h("span", { class: "tag" }, own(t("lang"), lang) ?? String(lang ?? "–"));
  const things = list(products);
  return card("wide message", t("message"), aside,
    h("p", { class: "marked", lang: lang === "en" ? "en" : "zh-CN" }, markEntities(text, found)),
    found.length > 0 ? entityTable(found) : muted(t("no_entities")),
    things.length > 0 && h("div", { class: "products" }, h("h4", {}, t("products")),
      h("ul", { class: "rows" }, things.map((item) =>
        h("li", { class: "product" }, h("code", {}, String(item.sku)), h("span", { class: "grow" }, String(item.title ?? "")), chance(item.confidence, t("product_match")))))));
}

/** The message cut at the entities. Offsets are code points of the text as it was sent; what overlaps or lies outside is only listed. */
function markEntities(text, entities) {
  const points = Array.from(text);
  const parts = [];
  let at = 0;
  const sound = entities.filter((e) => Number.isInteger(e.start) && Number.isInteger(e.end) && e.start >= 0 && e.start < e.end && e.end <= points.length);
  for (const entity of sound.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (entity.start < at) continue;
    parts.push(points.slice(at, entity.start).join(""));
    parts.push(h("mark", { "data-group": own(ENTITY_GROUP, entity.type) ?? "other", "data-label": entityName(entity.type), title: entityTitle(entity) },
      points.slice(entity.start, entity.end).join("")));
    at = entity.end;
  }
  parts.push(points.slice(at).join(""));
  return parts;
}

const entityName = (type) => own(t("entity"), type) ?? String(type);
const entityTitle = ({ type, value, confidence }) => [type, value, percent(confidence)].filter((part) => typeof part === "string").join(" · ");

function entityTable(entities) {
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, [t("entity_type"), t("entity_text"), t("entity_value"), t("entity_conf")].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, entities.map((entity) => h("tr", {},
      h("td", {}, h("span", { class: "key", "data-group": own(ENTITY_GROUP, entity.type) ?? "other" }, entityName(entity.type))),
      h("td", {}, String(entity.text ?? "")),
      h("td", {}, entity.value === undefined || entity.value === null ? "–" : h("code", {}, String(entity.value))),
      h("td", { class: "number" }, percent(entity.confidence)))))));
}

function intentCard({ intent }) {
  if (!intent) return card("intent", t("intent"), null, muted("–"));
  const others = list(intent.alternatives);
  const terms = list(intent.evidence);
  const near = list(intent.neighbours).slice(0, 3);
  const heaviest = Math.max(...terms.map((term) => Math.abs(term.weight) || 0), 1e-9);
  return card("intent", t("intent"), h("span", { class: "tag" }, own(t("path"), intent.path) ?? String(intent.path ?? "")),
    h("div", { class: "top-intent" },
      h("p", { class: "intent-name" }, named(INTENTS, intent.id)),
      h("p", { class: "intent-id" }, h("code", {}, String(intent.id)), ` ${named(CATEGORIES, intent.category)}`),
      h("p", { class: "intent-p" }, meter(intent.confidence), h("strong", {}, percent(intent.confidence)))),
    h("h4", {}, t("runners_up")),
    h("ul", { class: "bars" },
      others.map((other) => h("li", {}, h("span", { class: "grow" }, named(INTENTS, other.id)), meter(other.confidence), h("span", { class: "number" }, percent(other.confidence)))),
      isNumber(intent.out_of_scope) && intent.id !== "out_of_scope"
        ? h("li", { class: "outside" }, h("span", { class: "grow" }, t("nothing_fits")), meter(intent.out_of_scope), h("span", { class: "number" }, percent(intent.out_of_scope)))
        : null),
    h("h4", { title: t("evidence_note") }, t("evidence")),
    terms.length > 0
      ? h("ul", { class: "terms", title: t("evidence_note") }, terms.map((term) =>
        h("li", { "--share": share(Math.abs(term.weight) / heaviest), class: term.weight < 0 ? "against" : null },
          h("span", {}, String(term.term)), h("span", { class: "number" }, isNumber(term.weight) ? `${term.weight < 0 ? "−" : "+"}${Math.abs(term.weight).toFixed(2)}` : ""))))
      : muted(t("no_evidence")),
    near.length > 0 ? h("h4", {}, t("neighbours")) : null,
    near.length > 0
      ? h("ol", { class: "rows" }, near.map((row) =>
        h("li", {}, h("p", { class: "row-text" }, String(row.text ?? "")), h("p", { class: "meta" }, h("span", {}, named(INTENTS, row.intent))))))
      : null);
}

function articlesCard({ articles, reply }) {
  const rows = list(articles);
  const used = new Set(Array.isArray(reply?.sources) ? reply.sources : []);
  return card("articles", t("articles"), null, rows.length === 0 ? muted(t("no_articles")) : h("ol", { class: "rows" }, rows.map((row) =>
    h("li", { class: used.has(row.article_id) ? "used" : null },
      h("p", { class: "row-text" }, String(row.question ?? "")),
      h("p", { class: "meta" }, chance(row.confidence, t("answers_it")), h("code", {}, String(row.article_id)), rankScore(row.score))))));
}

function similarCard({ similar }) {
  const rows = list(similar);
  return card("wide similar", t("similar"), null, rows.length === 0 ? muted(t("no_similar")) : h("ol", { class: "rows" }, rows.map((row) =>
    h("li", {},
      h("p", { class: "row-text" }, String(row.text ?? "")),
      row.resolution ? h("p", { class: "resolution" }, h("span", {}, t("resolution")), ` ${row.resolution}`) : null,
      h("p", { class: "meta" }, chance(row.confidence, t("same_problem")), h("code", {}, String(row.ticket_id)),
        row.intent ? h("span", {}, named(INTENTS, row.intent)) : null, rankScore(row.score))))));
}

const rankScore = (score) => (isNumber(score) ? h("span", { class: "rank", title: t("score_note") }, `${t("score")} ${score.toFixed(2)}`) : null);

function timeCard({ timing_ms: timing }, tookMs) {
  const entries = Object.entries(timing ?? {}).filter(([, ms]) => isNumber(ms));
  const total = timing?.total;
  const stages = entries.filter(([stage]) => stage !== "total");
  const rest = isNumber(total) ? total - stages.reduce((sum, [, ms]) => sum + ms, 0) : 0;
  const longest = Math.max(rest, ...stages.map(([, ms]) => ms), 1e-9);
  const row = (name, ms, className) => h("li", { class: className ?? null }, h("span", { class: "grow" }, name), meter(ms / longest), h("span", { class: "number" }, milliseconds(ms)));
  return card("time", t("time"), isNumber(total) ? h("strong", { class: "total" }, milliseconds(total)) : null,
    h("ul", { class: "bars" },
      stages.map(([stage, ms]) => row(own(t("stage"), stage) ?? stage, ms)),
      rest > 0.001 ? row(t("time_rest"), rest, "outside") : null),
    h("p", { class: "muted small" }, `${t("round_trip")} ${milliseconds(tookMs)}`));
}

function modelsCard({ models, mode, id, decision }, requestId) {
  const pair = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value === null || value === undefined ? h("span", { class: "muted" }, t("not_used")) : h("code", {}, String(value))));
  return card("wide models", t("models"), h("span", { class: "tag" }, own(t("mode"), mode) ?? String(mode ?? "–")),
    h("dl", {},
      Object.entries(models ?? {}).map(([part, version]) => pair(own(t("model"), part) ?? part, version)),
      pair(t("policy"), decision?.policy ?? "–"),
      pair(t("triage_id"), id ?? "–"),
      requestId ? pair(t("request_id"), requestId) : null));
}

function developersCard(text, answer) {
  const curl = curlLine(text);
  const json = JSON.stringify(answer, null, 2);
  const raw = h("pre", { tabindex: "0", "aria-label": t("raw") }, json);
  const line = h("pre", { tabindex: "0", class: "wrap", "aria-label": t("curl") }, curl);
  return card("wide developers", t("developers"), copyButton(t("share"), () => deepLink(text)),
    h("div", { class: "code-head" }, h("h4", {}, t("curl")), copyButton(t("copy"), () => curl, line)), line,
    h("details", {}, h("summary", {}, t("raw")), h("div", { class: "code-head end" }, copyButton(t("copy"), () => json, raw)), raw));
}

/** A line for a POSIX shell: the body in single quotes, a quote inside written as '\''. The key itself is never printed. */
function curlLine(text) {
  const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;
  const key = apiKey ? ' -H "Authorization: Bearer $FENZHEN_API_KEY"' : "";
  return `curl -s ${quoted(endpoint("v1/triage"))}${key} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify({ text, lang: "auto" }))}`;
}

function deepLink(text) {
  const link = new URL(location.pathname, location.origin);
  link.search = new URLSearchParams({ text, run: "1" }).toString();
  return link.href;
}

function copyButton(label, what, shown) {
  const button = h("button", { type: "button", class: "quiet small" }, label);
  button.addEventListener("click", async () => {
    const done = await copy(what(), shown);
    button.textContent = done ? t("copied") : t("copy_failed");
    $("announce").textContent = button.textContent;
    setTimeout(() => { button.textContent = label; }, 1600);
  });
  return button;
}

/** The clipboard is for secure contexts only: elsewhere (plain HTTP on a LAN) the text is selected and copied the old way. */
async function copy(text, shown) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const holder = shown ?? document.body.appendChild(h("pre", { class: "sr" }, text));
    getSelection().selectAllChildren(holder);
    let done = false;
    try { done = document.execCommand("copy"); } catch { /* the selection stays for the user */ }
    if (!shown) holder.remove();
    return done;
  }
}

// ---------------------------------------------------------------------------------------------------------- faults

function failedView({ problem }) {
  const { title, detail, hint, code, status, requestId, retryAfter } = described(problem);
  const facts = [[t("status"), status], [t("code"), code], [t("request_id"), requestId]].filter(([, value]) => value);
  return h("section", { class: "failed", "aria-labelledby": "failed-title" },
    h("p", { class: "badge" }, t("failed")),
    h("h2", { id: "failed-title" }, title),
    detail ? h("p", { class: "failed-detail" }, detail) : null,
    hint.length > 0 ? h("div", { class: "failed-hint" }, h("h3", {}, t("what_to_do")), hint.map((line) => h("p", {}, line))) : null,
    status === 401 || status === 403 ? keyForm() : retryButton(retryAfter),
    facts.length > 0 ? h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, h("code", {}, String(value)))])) : null);
}

/** What is shown of a fault: the server's own words, and ours beside them where the status is one that we can explain. */
function described(problem) {
  const { body, status, requestId, retryAfter } = problem;
  if (problem.kind === "network") return { title: t("network_title"), detail: fill(t("network_detail"), { url: endpoint("v1/triage") }), hint: [t("network_hint")] };
  if (problem.kind === "timeout") return { title: fill(t("timeout_title"), { s: TIMEOUT_S }), detail: null, hint: [t("timeout_hint")] };
  if (problem.kind === "garbled") return { title: t("garbled_title"), detail: problem.excerpt, hint: [own(t("status_hint"), String(status)) ?? t("garbled_hint")], status, requestId };
  const words = (value) => (typeof value === "string" && value.trim() !== "" ? value : null);
  return {
    title: words(body.title) ?? `HTTP ${status}`,
    detail: words(body.detail),
    // The code says more than the status, where we have words for it.
    hint: [own(t("status_hint"), body.code) ?? own(t("status_hint"), String(status)), words(body.hint)].filter(Boolean),
    code: words(body.code), status, requestId: words(body.request_id) ?? requestId, retryAfter,
  };
}

function retryButton(retryAfter) {
  const button = h("button", { type: "button", class: "primary", onclick: () => submit() }, t("retry"));
  let left = Math.min(Math.ceil(retryAfter ?? 0), 120);
  if (left <= 0) return button;
  const tick = () => {
    button.disabled = left > 0;
    button.textContent = left > 0 ? t("retry_in")(left) : t("retry");
    left -= 1;
    if (left >= 0 && (button.isConnected || !button.dataset.seen)) setTimeout(tick, 1000);
    button.dataset.seen = "1";
  };
  tick();
  return button;
}

function keyForm() {
  const input = h("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", required: true });
  return h("form", { class: "key-form", onsubmit: (event) => {
    event.preventDefault();
    // A header value is Latin-1 without controls: anything else would only fail later, and less clearly.
    const key = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return input.focus();
    rememberKey(key);
    submit();
  } }, h("label", { for: "key" }, t("key_label")), h("div", { class: "key-row" }, input, h("button", { type: "submit", class: "primary" }, t("key_use"))));
}

function rememberKey(key) {
  apiKey = key;
  memory.set("sessionStorage", "fenzhen.key", key);
  $("keyline").hidden = key === null;
}

// --------------------------------------------------------------------------------------------------------- sending

const endpoint = (path) => new URL(path, document.baseURI).href;

/** One request; answers with the next view. A fault is a value, never thrown. */
async function triage(text, signal) {
  const headers = { "Content-Type": "application/json", Accept: "application/json, application/problem+json" };
  if (apiKey) headers.Authorization = `Bearer ${apiKey}`;
  const began = performance.now();
  const failed = (problem) => ({ kind: "failed", text, problem });
  let response, body;
  try {
    response = await fetch(endpoint("v1/triage"), { method: "POST", headers, body: JSON.stringify({ text, lang: "auto" }), signal });
    body = await response.text();
  } catch {
    return failed({ kind: signal.aborted ? "timeout" : "network" });
  }
  const tookMs = performance.now() - began;
  const requestId = response.headers.get("x-request-id");
  const seconds = Number(response.headers.get("retry-after"));
  let parsed;
  try { parsed = JSON.parse(body); } catch { parsed = null; }
  if (parsed === null || typeof parsed !== "object" || (response.ok && typeof parsed.decision !== "object")) {
    return failed({ kind: "garbled", status: response.status, requestId, excerpt: body.trim().slice(0, 300) });
  }
  if (!response.ok) return failed({ kind: "problem", body: parsed, status: response.status, requestId, retryAfter: Number.isFinite(seconds) ? seconds : 0 });
  return { kind: "done", text, answer: parsed, requestId, tookMs };
}

async function submit() {
  const text = $("text").value;
  const missing = text.trim() === "";
  $("problem-inline").hidden = !missing;
  $("problem-inline").textContent = missing ? t("empty_message") : "";
  if (missing) return $("text").focus();

  running?.abort("superseded");
  const mine = (running = new AbortController());
  const deadline = setTimeout(() => mine.abort("timeout"), TIMEOUT_S * 1000);
  const patience = setTimeout(() => { const slow = $("slow"); if (slow) slow.textContent = $("announce").textContent = t("slow"); }, 3000);
  show({ kind: "busy" });
  const next = await triage(text, mine.signal);
  clearTimeout(deadline);
  clearTimeout(patience);
  // A newer message took over while this one was on its way.
  if (running !== mine) return;
  running = null;
  show(next);
  reveal();
  if (next.kind === "failed") askService();
}

// --------------------------------------------------------------------------------------------------------- drawing

function show(next) {
  view = next;
  draw();
  $("announce").textContent = spoken();
}

function draw() {
  const busy = view.kind === "busy";
  $("answer").setAttribute("aria-busy", String(busy));
  $("go").classList.toggle("busy", busy);
  $("go-text").textContent = t(busy ? "going" : "go");
  let drawn;
  try {
    drawn = { idle: idleView, busy: busyView, done: doneView, failed: failedView }[view.kind](view);
  } catch (fault) {
    // An answer of another shape than ours: say so, and keep the page alive.
    console.error(fault);
    drawn = failedView({ problem: { kind: "garbled", excerpt: String(fault), requestId: view.requestId } });
  }
  $("answer").replaceChildren(drawn);
}

/** What a screen reader hears: the decision in one sentence, not the whole slip. */
function spoken() {
  if (view.kind === "busy") return t("going");
  if (view.kind === "failed") { const { title, detail } = described(view.problem); return fill(t("said_failed"), { title, detail }); }
  if (view.kind !== "done") return "";
  const { decision, intent } = view.answer;
  const reasons = (Array.isArray(decision?.reasons) ? decision.reasons : []).map((code) => own(t("reason"), code)?.[0] ?? code);
  return fill(t("said"), {
    action: own(t("action"), decision?.action) ?? String(decision?.action),
    why: reasons.length > 0 ? reasons.join(ui === "zh" ? "，" : ", ") + (ui === "zh" ? "。" : ".") : "",
    intent: named(INTENTS, intent?.id), p: percent(intent?.confidence),
  });
}

/** On a narrow screen the answer lies below the fold: bring it up, and leave the focus where the user types. */
function reveal() {
  const box = $("answer").getBoundingClientRect();
  if (box.top < innerHeight * 0.6) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  $("answer").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
}

function drawWords() {
  document.documentElement.lang = ui === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const button of document.querySelectorAll("[data-ui]")) button.setAttribute("aria-pressed", String(button.dataset.ui === ui));
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  $("hint").textContent = fill(t("hint"), { key: mac ? "⌘ ⏎" : "Ctrl + Enter" });
  $("text").placeholder = t("placeholder");
  $("problem-inline").textContent = $("problem-inline").hidden ? "" : t("empty_message");
  $("service-text").textContent = service === "unknown" ? "" : t(service);
  $("examples").replaceChildren(...(ui === "zh" ? ["zh", "en"] : ["en", "zh"]).flatMap((lang) => EXAMPLES[lang].map((text) =>
    h("li", {}, h("button", { type: "button", class: "chip", lang: lang === "zh" ? "zh-CN" : "en", onclick: () => { setText(text); submit(); } }, text)))));
  drawCount();
}

// Counting code points of a pasted megabyte on every key would be felt: past a few thousand units the count is of UTF-16 units.
function drawCount() {
  const value = $("text").value;
  $("count").textContent = value === "" ? "" : t("count")(value.length > 20000 ? value.length : Array.from(value).length);
}

function setText(text) {
  $("text").value = text;
  $("problem-inline").hidden = true;
  drawCount();
}

/** Asks /readyz, and again while the models load. */
async function askService(again = 1) {
  try {
    const response = await fetch(endpoint("readyz"), { cache: "no-store" });
    service = response.ok ? "ready" : "loading";
  } catch {
    service = "unreachable";
  }
  $("service").dataset.state = service;
  $("service-text").textContent = t(service);
  if (service !== "ready" && again <= 20) setTimeout(() => askService(again + 1), Math.min(1000 * again, 10000));
}

// ----------------------------------------------------------------------------------------------------------- start

$("form").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
$("text").addEventListener("input", () => { $("problem-inline").hidden = true; drawCount(); });
$("text").addEventListener("keydown", (event) => {
  // While an input method composes, Enter belongs to it.
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  submit();
});
$("clear").addEventListener("click", () => {
  running?.abort("cleared");
  running = null;
  setText("");
  show({ kind: "idle" });
  $("text").focus();
});
$("forget-key").addEventListener("click", () => { rememberKey(null); $("text").focus(); });
for (const button of document.querySelectorAll("[data-ui]")) {
  button.addEventListener("click", () => {
    ui = button.dataset.ui;
    memory.set("localStorage", "fenzhen.ui", ui);
    drawWords();
    draw();
  });
}

rememberKey(apiKey);
setText(params.get("text") ?? "");
drawWords();
draw();
askService();
if (params.get("run") === "1" && $("text").value.trim() !== "") submit();
else if (matchMedia("(min-width: 60rem)").matches) $("text").focus();
