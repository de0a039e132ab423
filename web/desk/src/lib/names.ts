// The shipped taxonomy in short words. An intent that a company trained itself is shown by its id.

import type { Lang } from "../types";

type Words = Record<Lang, string>;

export interface IntentGroup {
  id: string;
  name: Words;
  intents: { id: string; name: Words }[];
}

export const INTENT_GROUPS: IntentGroup[] = [
  {
    id: "order", name: { zh: "订单", en: "Orders" },
    intents: [
      { id: "order_status", name: { zh: "查询订单状态", en: "Order status" } },
      { id: "order_change", name: { zh: "修改订单", en: "Change an order" } },
      { id: "order_cancel", name: { zh: "取消订单", en: "Cancel an order" } },
      { id: "order_help", name: { zh: "下单遇到问题", en: "Help with ordering" } },
    ],
  },
  {
    id: "logistics", name: { zh: "物流", en: "Shipping and delivery" },
    intents: [
      { id: "shipping_time", name: { zh: "发货与时效", en: "Shipping time" } },
      { id: "delivery_tracking", name: { zh: "查物流进度", en: "Parcel tracking" } },
      { id: "delivery_address", name: { zh: "改收货地址", en: "Change the address" } },
      { id: "delivery_missing", name: { zh: "未收到或丢件", en: "Parcel missing" } },
      { id: "shipping_fee", name: { zh: "运费", en: "Shipping fee" } },
    ],
  },
  {
    id: "returns", name: { zh: "退换货", en: "Returns and refunds" },
    intents: [
      { id: "refund_request", name: { zh: "申请退款", en: "Wants a refund" } },
      { id: "refund_status", name: { zh: "退款进度", en: "Refund status" } },
      { id: "return_request", name: { zh: "申请退货", en: "Wants to return" } },
      { id: "exchange_request", name: { zh: "申请换货", en: "Wants an exchange" } },
      { id: "return_policy", name: { zh: "退换规则", en: "Return rules" } },
    ],
  },
  {
    id: "product", name: { zh: "商品咨询", en: "Product questions" },
    intents: [
      { id: "product_info", name: { zh: "商品参数与成分", en: "Product details" } },
      { id: "size_advice", name: { zh: "尺码建议", en: "Size advice" } },
      { id: "stock", name: { zh: "库存与补货", en: "Stock" } },
      { id: "price", name: { zh: "价格咨询", en: "Price" } },
      { id: "recommendation", name: { zh: "求推荐与比较", en: "Recommendation" } },
      { id: "usage_help", name: { zh: "使用方法", en: "How to use it" } },
    ],
  },
  {
    id: "aftersales", name: { zh: "售后", en: "After-sales" },
    intents: [
      { id: "quality_issue", name: { zh: "质量问题", en: "Quality issue" } },
      { id: "damaged", name: { zh: "收到破损", en: "Arrived damaged" } },
      { id: "wrong_item", name: { zh: "发错少发", en: "Wrong or missing item" } },
      { id: "warranty_repair", name: { zh: "保修维修", en: "Warranty and repair" } },
      { id: "installation", name: { zh: "安装服务", en: "Installation" } },
    ],
  },
  {
    id: "payment", name: { zh: "支付与优惠", en: "Payment and offers" },
    intents: [
      { id: "payment_failed", name: { zh: "支付失败", en: "Payment failed" } },
      { id: "payment_method", name: { zh: "支付方式", en: "Payment methods" } },
      { id: "coupon", name: { zh: "优惠券", en: "Coupon" } },
      { id: "promotion", name: { zh: "活动规则", en: "Promotion rules" } },
      { id: "price_protection", name: { zh: "价保补差", en: "Price protection" } },
      { id: "invoice", name: { zh: "发票", en: "Invoice" } },
    ],
  },
  {
    id: "account", name: { zh: "账户与会员", en: "Account and membership" },
    intents: [
      { id: "login_problem", name: { zh: "登录与验证码", en: "Sign-in problem" } },
      { id: "account_change", name: { zh: "修改账户信息", en: "Change account data" } },
      { id: "account_delete", name: { zh: "注销与隐私", en: "Account deletion, privacy" } },
      { id: "membership", name: { zh: "会员与积分", en: "Membership and points" } },
    ],
  },
  {
    id: "service", name: { zh: "服务", en: "Service" },
    intents: [
      { id: "complaint", name: { zh: "投诉", en: "Complaint" } },
      { id: "human_agent", name: { zh: "转人工", en: "Asks for a person" } },
      { id: "praise", name: { zh: "表扬与建议", en: "Praise or suggestion" } },
      { id: "greeting", name: { zh: "问候", en: "Greeting" } },
      { id: "closing", name: { zh: "感谢与结束", en: "Thanks and goodbye" } },
      { id: "out_of_scope", name: { zh: "超出范围", en: "Out of scope" } },
    ],
  },
];

const NAMES = new Map(INTENT_GROUPS.flatMap((group) => group.intents.map(({ id, name }) => [id, name] as const)));

export function intentName(id: string, ui: Lang): string {
  return NAMES.get(id)?.[ui] ?? id;
}
